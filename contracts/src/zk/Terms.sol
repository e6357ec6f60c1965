// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr} from "./Fr.sol";
import {Messages} from "./Messages.sol";
import {Operation, Plan, Plans, Term} from "./Plan.sol";
import {Walk, Walks} from "./Walk.sol";
import {Axis, Windows} from "./Windows.sol";

/// The terms' sums: sumchecks A and B (reference §5).
library Terms {
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
            uint256 degree = 2;
            uint256 left = 0;
            uint256 weight = 1;
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                left = Fr.add(left, Fr.mul(weight, op.target));
                weight = Fr.mul(weight, batching);
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    Term memory term = op.terms[j];
                    if (term.kind % 5 == 0) continue;
                    if (term.variables > rounds) rounds = term.variables;
                    count += sent(walk, op, term);
                    if (term.kind == 2) ++convs;
                    if (term.kind == 4) degree = 3;
                }
            }
            uint256 point = Fr.alloc(rounds);
            left = Messages.rounds(walk.reader, left, rounds, degree, point);
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

    /// How many values are sent of an instance after A.
    function sent(Walk memory walk, Operation memory op, Term memory term)
        private
        pure
        returns (uint256 count)
    {
        unchecked {
            if (term.kind == 2) return 2;
            if (term.kind == 4) {
                return (Plans.isCommitted(walk.plan, term.input) ? 1 : 0)
                    + (Plans.isCommitted(walk.plan, term.second) ? 1 : 0);
            }
            if (term.kind == 1) count = 1;
            uint256 last = walk.reads + (term.input << 6);
            uint256 id = op.bits << 8 | term.variables;
            if (Plans.isCommitted(walk.plan, term.input) && Fr.load(last, 0) != id) {
                assembly ("memory-safe") {
                    mstore(last, id)
                }
                ++count;
            }
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
            if (Plans.isCommitted(walk.plan, term.input)) ++gathered.sent;
        }
    }

    /// Claims a term's weights at the operation's `channel` part and A's `own`, in their order.
    function weights(
        Walk memory walk,
        Term memory term,
        uint256 channel,
        uint256 own,
        uint256 value
    ) private pure {
        unchecked {
            uint256 column = walk.plan.key[term.weights];
            uint256 point = Fr.alloc(column & 255);
            Walks.claim(walk, column, point, value);
            for (uint256 order = term.order; order > 0; order >>= 16) {
                assembly ("memory-safe") {
                    let from :=
                        add(
                            mul(channel, iszero(and(order, 0x8000))),
                            mul(own, and(shr(15, order), 1))
                        )
                    let size := shl(5, and(order, 255))
                    mcopy(point, add(from, and(shr(3, order), 0xfe0)), size)
                    point := add(point, size)
                }
            }
        }
    }

    /// The value of what a dense term or a window reads, at the kept part of the operation's point
    /// and its own of A's. If the one before that reads the tensor has the same point, it has the
    /// value.
    function read(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            // Bit 16 keeps what was read apart from what was counted.
            uint256 id = 1 << 16 | op.bits << 8 | term.variables;
            uint256 last = walk.reads + (term.input << 6);
            if (Fr.load(last, 0) == id) return Fr.load(last, 1);
            uint256 kept = walk.plan.batchBits;
            kept += Plans.bitsOfTensor(walk.plan, term.input) - term.variables;
            uint256 spot = Fr.concat(op.point, kept, own, term.variables);
            value = Walks.tensor(walk, term.input, spot);
            assembly ("memory-safe") {
                mstore(last, id)
                mstore(add(last, 32), value)
            }
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
            weights(walk, term, op.point + (kept << 5), own, value);
            return Fr.mul(value, read(walk, op, term, own));
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
                uint256 bits = size & 255;
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
            weights(walk, term, op.point + (walk.plan.batchBits << 5), own, value);
        }
    }

    function window(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            value = Fr.mul(Fr.fromInt(term.coefficient), read(walk, op, term, own));
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
            uint256 out = op.point + ((walk.plan.batchBits + (op.shape[0] & 255)) << 5);
            product = 1;
            Axis memory axis = Axis({
                out: 0,
                outSize: 0,
                outBits: 0,
                source: 0,
                size: 0,
                bits: 0,
                kernel: 0,
                stride: 0,
                pad: 0,
                taps: 0
            });
            for (uint256 i = 0; i < 2; ++i) {
                (uint256 to, uint256 size) = (op.shape[i + 1], from[i + 1]);
                (axis.out, axis.outSize, axis.outBits) = (out, to >> 8, to & 255);
                (axis.source, axis.size, axis.bits) = (spot, size >> 8, size & 255);
                axis.kernel = Plans.kernel(term, i);
                axis.stride = Plans.stride(term, i);
                axis.pad = Plans.pad(term, i);
                axis.taps = taps[i];
                product = Fr.mul(product, along(walk, axis));
                out += (to & 255) << 5;
                spot += (size & 255) << 5;
            }
        }
    }

    function along(Walk memory walk, Axis memory axis) private pure returns (uint256) {
        unchecked {
            (bool fits, uint256 shift) = Windows.isAligned(axis);
            if (fits) return Windows.aligned(axis, shift, walk.sums);
            uint256 out = Walks.table(walk, axis.out, axis.outBits);
            return Windows.general(axis, out, Walks.table(walk, axis.source, axis.bits));
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
            left = Messages.rounds(walk.reader, left, gathered.rounds, 2, point);
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
            uint256 channel = from[0] & 255;
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
