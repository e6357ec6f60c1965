// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr} from "./Fr.sol";
import {Messages} from "./Messages.sol";
import {Operation, Plan, Plans, Term} from "./Plan.sol";
import {Sums} from "./Sums.sol";
import {Walk, Walks} from "./Walk.sol";

/// The terms' sums: sumchecks A and B (reference §5).
library Terms {
    /// Marks what is kept as a sum, not a table.
    uint256 private constant SUM = 1 << 255;

    /// What convolutions gathered, at their own part of A's point.
    struct Gathered {
        uint256 count;
        uint256[] operations;
        uint256[] terms;
        uint256[] points;
        uint256[] values;
        uint256 rounds;
        uint256 sent;
    }

    /// Verifies that the terms add up to their targets; returns the opening's batching challenge.
    function verify(Walk memory walk, uint256 batching) internal pure returns (uint256) {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 rounds = 0;
            uint256 count = 0;
            uint256 convs = 0;
            uint256 left = 0;
            uint256 weight = 1;
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                left = Fr.add(left, Fr.mul(weight, op.target));
                weight = Fr.mul(weight, batching);
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    Term memory term = op.terms[j];
                    if (term.variables > rounds) rounds = term.variables;
                    if (term.kind == 1) ++count;
                    if (term.kind == 2) {
                        ++convs;
                        count += 2;
                    } else if (term.kind % 5 > 0 && term.input > 0) {
                        ++count;
                    }
                    if (term.second > 0) ++count;
                }
            }
            uint256 point = Fr.alloc(rounds);
            left = Messages.rounds(walk.reader, left, rounds, point);
            walk.next = Fr.alloc(count);
            uint256 challenge = Messages.scalars(walk.reader, 9, count, walk.next);
            Gathered memory gathered = Gathered({
                count: 0,
                operations: new uint256[](convs),
                terms: new uint256[](convs),
                points: new uint256[](convs),
                values: new uint256[](convs),
                rounds: 0,
                sent: 0
            });
            if (instances(walk, batching, point, rounds, gathered) != left) {
                Messages.reject(Reason.Operations);
            }
            return convolutions(walk, gathered, challenge);
        }
    }

    function instances(
        Walk memory walk,
        uint256 batching,
        uint256 point,
        uint256 rounds,
        Gathered memory gathered
    ) private pure returns (uint256 sum) {
        unchecked {
            uint256 weight = 1;
            for (uint256 i = 0; i < walk.plan.operations.length; ++i) {
                Term[] memory terms_ = walk.plan.operations[i].terms;
                for (uint256 j = 0; j < terms_.length; ++j) {
                    if (terms_[j].kind % 5 == 0) continue;
                    uint256 lacking = rounds - terms_[j].variables;
                    uint256 value = instance(walk, i, j, point + (lacking << 5), gathered);
                    value = Fr.mul(value, Fr.zeros(point, lacking));
                    sum = Fr.add(sum, Fr.mul(weight, value));
                }
                weight = Fr.mul(weight, batching);
            }
        }
    }

    /// An instance's product at its own part of A's point.
    function instance(Walk memory walk, uint256 i, uint256 j, uint256 own, Gathered memory gathered)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            Operation memory op = walk.plan.operations[i];
            Term memory term = op.terms[j];
            if (term.kind == 1) return dense(walk, op, term, own);
            if (term.kind == 3) return window(walk, op, term, own);
            if (term.kind == 4) return pair(walk, op, term, own);
            value = conv(walk, op, term, own);
            uint256 index = gathered.count++;
            gathered.operations[index] = i;
            gathered.terms[index] = j;
            gathered.points[index] = own;
            gathered.values[index] = Walks.next(walk);
            value = Fr.mul(value, gathered.values[index]);
            uint256 bits = Plans.bitsFrom(Plans.tensor(walk.plan, term.input), 1);
            if (bits > gathered.rounds) gathered.rounds = bits;
            if (term.input > 0) ++gathered.sent;
        }
    }

    function dense(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            uint256 channel = Plans.bitsFrom(op.shape, term.kept);
            uint256 kept = op.bits - channel;
            value = Walks.next(walk);
            uint256 spot = Fr.concat(op.point + (kept << 5), channel, own, term.variables);
            Walks.claim(walk, walk.plan.key[term.weights], spot, value);
            spot = Fr.concat(op.point, kept, own, term.variables);
            return Fr.mul(value, Walks.tensor(walk, term.input, spot));
        }
    }

    function pair(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            uint256[] memory a = Plans.tensor(walk.plan, term.input);
            uint256[] memory b = Plans.tensor(walk.plan, term.second);
            uint256[8] memory spots = Walks.parts(walk, op);
            value = Fr.fromInt(term.coefficient);
            value = Fr.mul(value, Fr.eq(op.point, own, walk.plan.batchBits));
            uint256 spot = own + (walk.plan.batchBits << 5);
            for (uint256 i = 0; i < 8; ++i) {
                (uint256 size, uint256 other) = Plans.indexOf(a, b, term.labels, i);
                if (size * other == 0) continue;
                uint256 bits = Plans.bitsOf(size);
                if (i < Plans.SUMMED) value = Fr.mul(value, Fr.eq(spots[i], spot, bits));
                spots[i] = spot;
                spot += bits << 5;
            }
            spot = Walks.arranged(walk, a, term.labels & 0xffffffff, spots, own);
            value = Fr.mul(value, Walks.tensor(walk, term.input, spot));
            spot = Walks.arranged(walk, b, term.labels >> 32, spots, own);
            return Fr.mul(value, Walks.tensor(walk, term.second, spot));
        }
    }

    function conv(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            value = Walks.next(walk);
            uint256 spot = Fr.concat(
                op.point + (walk.plan.batchBits << 5),
                Plans.bitsOf(op.shape[0]),
                own,
                term.variables
            );
            Walks.claim(walk, walk.plan.key[term.weights], spot, value);
        }
    }

    function window(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            uint256 front = walk.plan.batchBits + Plans.bitsOf(op.shape[0]);
            uint256 spot = Fr.concat(op.point, front, own, term.variables);
            value = Fr.mul(Fr.fromInt(term.coefficient), Walks.tensor(walk, term.input, spot));
            uint256[] memory from = Plans.tensor(walk.plan, term.input);
            return Fr.mul(value, reachBoth(walk, op, term, from, own, [uint256(0), 0]));
        }
    }

    /// `Φ(row) Ψ(column)`; without tables of the taps' factors, these are 1.
    function reachBoth(
        Walk memory walk,
        Operation memory op,
        Term memory term,
        uint256[] memory from,
        uint256 spot,
        uint256[2] memory taps
    ) private pure returns (uint256 product) {
        unchecked {
            uint256 out = op.point + ((walk.plan.batchBits + Plans.bitsOf(op.shape[0])) << 5);
            product = 1;
            for (uint256 axis = 0; axis < 2; ++axis) {
                uint256[2] memory points = [out, spot];
                uint256[2] memory sizes = [op.shape[axis + 1], from[axis + 1]];
                uint256 value = along(walk, term, axis, points, sizes, taps[axis]);
                product = Fr.mul(product, value);
                out += Plans.bitsOf(sizes[0]) << 5;
                spot += Plans.bitsOf(sizes[1]) << 5;
            }
        }
    }

    /// One axis of a window; what has no taps of its own is summed once, for the windows of a
    /// maximum share it.
    function along(
        Walk memory walk,
        Term memory term,
        uint256 axis,
        uint256[2] memory points,
        uint256[2] memory sizes,
        uint256 taps
    ) private pure returns (uint256 value) {
        unchecked {
            uint256 id = SUM | points[0] << 192 | points[1] << 128 | sizes[0] << 96 | sizes[1] << 64;
            // A padding is a signed byte; flipping the sign keeps it apart from the others.
            // forge-lint: disable-next-line(unsafe-typecast)
            id |= Plans.kernel(term, axis) << 32 | Plans.stride(term, axis) << 16
            | uint256(Plans.pad(term, axis) + 128);
            if (taps == 0) {
                uint256 known = Walks.find(walk, id);
                if (known > 0) return walk.cachedTables[known - 1];
            }
            uint256[2] memory tables = [
                Walks.table(walk, points[0], Plans.bitsOf(sizes[0])),
                Walks.table(walk, points[1], Plans.bitsOf(sizes[1]))
            ];
            value = Sums.reach(term, axis, tables, sizes, taps);
            if (taps == 0) Walks.keep(walk, id, value);
        }
    }

    /// Verifies what the convolutions gathered from their inputs.
    function convolutions(Walk memory walk, Gathered memory gathered, uint256 batching)
        private
        pure
        returns (uint256 challenge)
    {
        unchecked {
            uint256 left = 0;
            uint256 weight = 1;
            for (uint256 i = 0; i < gathered.count; ++i) {
                left = Fr.add(left, Fr.mul(weight, gathered.values[i]));
                weight = Fr.mul(weight, batching);
            }
            uint256 point = Fr.alloc(gathered.rounds);
            left = Messages.rounds(walk.reader, left, gathered.rounds, point);
            walk.next = Fr.alloc(gathered.sent);
            challenge = Messages.scalars(walk.reader, 10, gathered.sent, walk.next);
            weight = 1;
            for (uint256 i = 0; i < gathered.count; ++i) {
                uint256 value = Fr.mul(weight, gatheredAt(walk, gathered, i, point));
                left = Fr.sub(left, value);
                weight = Fr.mul(weight, batching);
            }
            if (left != 0) Messages.reject(Reason.Convolutions);
        }
    }

    function gatheredAt(Walk memory walk, Gathered memory gathered, uint256 i, uint256 point)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            Operation memory op = walk.plan.operations[gathered.operations[i]];
            Term memory term = op.terms[gathered.terms[i]];
            uint256[] memory from = Plans.tensor(walk.plan, term.input);
            uint256 lacking = gathered.rounds - Plans.bitsFrom(from, 1);
            value = source(walk, op, term, from, point + (lacking << 5), gathered.points[i]);
            value = Fr.mul(value, Fr.zeros(point, lacking));
        }
    }

    function source(
        Walk memory walk,
        Operation memory op,
        Term memory term,
        uint256[] memory from,
        uint256 own,
        uint256 a
    ) private pure returns (uint256 value) {
        unchecked {
            uint256 channel = Plans.bitsOf(from[0]);
            uint256 rows = Plans.bitsOf(Plans.kernel(term, 0));
            uint256 taps = a + (channel << 5);
            uint256[2] memory tables = [
                Walks.table(walk, taps, rows),
                Walks.table(walk, taps + (rows << 5), Plans.bitsOf(Plans.kernel(term, 1)))
            ];
            value = reachBoth(walk, op, term, from, own, tables);
            uint256 spot = Fr.concat(op.point, walk.plan.batchBits, a, channel);
            uint256 front = walk.plan.batchBits + channel;
            spot = Fr.concat(spot, front, own, Plans.bitsFrom(from, 1));
            return Fr.mul(value, Walks.tensor(walk, term.input, spot));
        }
    }
}
