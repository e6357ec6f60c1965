// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr, P} from "./Fr.sol";
import {Messages, Reader} from "./Messages.sol";
import {Operation, Plan, Plans, Table, Term} from "./Plan.sol";
import {Sums} from "./Sums.sol";

/// Claims about committed columns. Columns of the witness have bit 255 set.
struct Claims {
    uint256 count;
    uint256[] columns;
    uint256[] points;
    uint256[] values;
}

/// The verifier's state while it walks through the operations.
struct Walk {
    Plan plan;
    Reader reader;
    Claims claims;
    /// Where the public values are in the call data.
    uint256 input;
    uint256 output;
    /// The tree's point among the leaves, coordinates put in front included.
    uint256 z;
    uint256 zBits;
    uint256 alpha;
    uint256 gamma;
    uint256 numerator;
    uint256 denominator;
    /// The next value of the message being read.
    uint256 next;
    /// Tables of `eq` by the point they were made of.
    uint256[] cachedPoints;
    uint256[] cachedTables;
    uint256 cached;
}

/// The operations' equations (reference §5) and the lookups' leaves (reference §4).
library Walks {
    uint256 internal constant WITNESS = 1 << 255;
    uint256 private constant MAX_CACHED = 64;
    /// Marks what is kept as a sum, not a table.
    uint256 private constant SUM = 1 << 255;
    uint256 private constant NONE = 255;

    function start(Walk memory walk) internal pure {
        unchecked {
            uint256 most = Plans.mostColumns(walk.plan);
            walk.claims.columns = new uint256[](most);
            walk.claims.points = new uint256[](most);
            walk.claims.values = new uint256[](most);
            walk.cachedPoints = new uint256[](MAX_CACHED);
            walk.cachedTables = new uint256[](MAX_CACHED);
        }
    }

    /// The last `bits` coordinates of the tree's point.
    function suffix(Walk memory walk, uint256 bits) private pure returns (uint256) {
        unchecked {
            return walk.z + ((walk.zBits - bits) << 5);
        }
    }

    function next(Walk memory walk) private pure returns (uint256 value) {
        unchecked {
            value = Fr.load(walk.next, 0);
            walk.next += 32;
        }
    }

    function claim(Walk memory walk, uint256 column, uint256 point, uint256 value) private pure {
        unchecked {
            Claims memory claims = walk.claims;
            uint256 index = claims.count++;
            claims.columns[index] = column;
            claims.points[index] = point;
            claims.values[index] = value;
        }
    }

    /// `eq(point, ·)`, made once.
    function table(Walk memory walk, uint256 point, uint256 bits) private pure returns (uint256) {
        unchecked {
            uint256 id = point << 8 | bits;
            uint256 known = find(walk, id);
            if (known > 0) return walk.cachedTables[known - 1];
            uint256 made = Fr.eqTable(point, bits);
            keep(walk, id, made);
            return made;
        }
    }

    /// The number of what is kept under `id`, from 1; 0 if there is nothing.
    function find(Walk memory walk, uint256 id) private pure returns (uint256 found) {
        uint256 count = walk.cached;
        uint256[] memory ids = walk.cachedPoints;
        assembly ("memory-safe") {
            let first := add(ids, 32)
            // The newest is the likeliest.
            for { let spot := add(ids, shl(5, count)) } iszero(lt(spot, first)) {
                spot := sub(spot, 32)
            } {
                if eq(mload(spot), id) {
                    found := shr(5, sub(spot, ids))
                    break
                }
            }
        }
    }

    function keep(Walk memory walk, uint256 id, uint256 value) private pure {
        unchecked {
            if (walk.cached < MAX_CACHED) {
                walk.cachedPoints[walk.cached] = id;
                walk.cachedTables[walk.cached++] = value;
            }
        }
    }

    /// A tensor's value: evaluated here if public, else sent and claimed.
    function tensor(Walk memory walk, uint256 index, uint256 point)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            Plan memory plan = walk.plan;
            if (index == 0) {
                return
                    publicAt(walk, Public({shape: plan.input, data: walk.input, width: 1}), point);
            }
            Operation memory op = plan.operations[index - 1];
            if (op.output == 0) {
                return publicAt(walk, Public({shape: op.shape, data: walk.output, width: 8}), point);
            }
            value = next(walk);
            claim(walk, plan.witness[op.output - 1] | WITNESS, point, value);
        }
    }

    /// Public values in the call data, of `width` bytes each.
    struct Public {
        uint256[] shape;
        uint256 data;
        uint256 width;
    }

    /// `Σ eq(point, i) · value_i`.
    function publicAt(Walk memory walk, Public memory values, uint256 point)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256[] memory shape = values.shape;
            uint256 last = shape[shape.length - 1];
            uint256 bits = Plans.bitsOf(last);
            uint256 outer = walk.plan.batchBits + Plans.bitsFrom(shape, 0) - bits;
            uint256 offset = values.width == 1 ? 128 : 1 << 63;
            offset = P - Fr.mul(offset, Fr.lessThan(point + (outer << 5), bits, last));
            uint256 inner = table(walk, point + (outer << 5), bits);
            outer = table(walk, point, outer);
            uint256 count = walk.plan.batch;
            for (uint256 i = 0; i + 1 < shape.length; ++i) {
                count *= shape[i];
            }
            uint256 place = 0;
            // Rows of one plane lie side by side; the next plane's place skips the padding.
            uint256 plane = shape.length > 1 ? shape[shape.length - 2] : count;
            uint256 row = plane;
            for (; count > 0; --count) {
                uint256 value = values.width == 1
                    ? Sums.bytesLine(values.data, last, inner)
                    : Sums.wordsLine(values.data, last, inner);
                value = Fr.mul(Fr.load(outer, place), value + offset);
                sum = Fr.add(sum, value);
                values.data += last * values.width;
                ++place;
                if (--row == 0) {
                    row = plane;
                    place = Sums.following(shape, place - 1);
                }
            }
        }
    }

    /// Reads the values at the point, checks the lookups' leaves; returns the batching challenge.
    function atPoint(Walk memory walk) internal pure returns (uint256 challenge) {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 count = plan.tables.length + (plan.hasBytes ? 1 : 0);
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                count += op.shift / 8 + (op.output > 0 ? 1 : 0) + (op.table > 0 ? 1 : 0);
                if (op.biasAxis != NONE) ++count;
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    if (op.terms[j].kind == 0 && op.terms[j].input > 0) ++count;
                }
            }
            walk.next = Fr.alloc(count);
            challenge = Messages.scalars(walk.reader, 8, count, walk.next);
            (uint256 numerator, uint256 denominator) = (walk.numerator, walk.denominator);
            (walk.numerator, walk.denominator) = (0, 1);
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                operation(walk, plan.operations[i], i);
            }
            if (plan.hasBytes) multiplicity(walk, plan.byteTable, 0);
            for (uint256 i = 0; i < plan.tables.length; ++i) {
                multiplicity(walk, plan.tables[i], i + 1);
            }
            if (numerator != walk.numerator || denominator != walk.denominator) {
                Messages.reject(Reason.LookupLeaves);
            }
        }
    }

    /// Adds a segment to the leaves' extensions.
    function leaf(Walk memory walk, uint256 index, uint256 numerator, uint256 denominator)
        private
        pure
    {
        unchecked {
            uint256 column = walk.plan.leaves[index];
            uint256 bits = column & 255;
            uint256 prefix = walk.plan.leafBits - bits;
            uint256 z = suffix(walk, walk.plan.leafBits);
            uint256 spot = Fr.eqIndex(z, prefix, column >> (8 + bits));
            walk.numerator = Fr.add(walk.numerator, Fr.mul(spot, numerator));
            walk.denominator = Fr.add(walk.denominator, Fr.mul(spot, Fr.add(denominator, P - 1)));
        }
    }

    /// Denominator of a tuple; domain 0 are bytes.
    function fingerprint(Walk memory walk, uint256 domain, uint256 u, uint256 y)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            value = Fr.mul(walk.gamma, Fr.add(u, Fr.mul(walk.gamma, y)));
            value = Fr.add(value, Fr.add(walk.alpha, domain + 1));
        }
    }

    function operation(Walk memory walk, Operation memory op, uint256 index) private pure {
        unchecked {
            op.point = suffix(walk, op.bits);
            uint256 y = tensor(walk, index + 1, op.point);
            uint256 u = op.table > 0 ? next(walk) : y;
            uint256 target = Fr.mul(u, 1 << op.shift);
            for (uint256 i = 0; i < op.shift / 8; ++i) {
                uint256 value = next(walk);
                claim(walk, walk.plan.witness[op.remainder + i] | WITNESS, op.point, value);
                target = Fr.add(target, Fr.mul(value, 1 << (8 * i)));
                leaf(walk, op.byteLeaf + i, 1, fingerprint(walk, 0, value, 0));
            }
            if (op.table > 0) leaf(walk, op.tableLeaf, 1, fingerprint(walk, op.table, u, y));
            uint256 mask = lessThan(walk, op, NONE);
            if (op.shift > 0) {
                target = Fr.sub(target, Fr.mul(mask, 1 << (op.shift - 1)));
            }
            if (op.biasAxis != NONE) {
                uint256 bits = Plans.bitsOf(op.shape[op.biasAxis]);
                uint256 after_ = Plans.bitsFrom(op.shape, op.biasAxis + 1);
                uint256 value = next(walk);
                claim(walk, walk.plan.key[op.bias], suffix(walk, after_ + bits), value);
                target = Fr.sub(target, Fr.mul(value, lessThan(walk, op, op.biasAxis)));
            }
            for (uint256 i = 0; i < op.terms.length; ++i) {
                Term memory term = op.terms[i];
                if (term.kind == 0) {
                    uint256 value = tensor(walk, term.input, op.point);
                    target = Fr.sub(target, Fr.mul(value, Fr.fromInt(term.coefficient)));
                }
            }
            op.target = target;
        }
    }

    /// The extension of the valid positions, one axis left out.
    function lessThan(Walk memory walk, Operation memory op, uint256 without)
        private
        pure
        returns (uint256 mask)
    {
        unchecked {
            uint256 point = op.point;
            mask = Fr.lessThan(point, walk.plan.batchBits, walk.plan.batch);
            point += walk.plan.batchBits << 5;
            for (uint256 i = 0; i < op.shape.length; ++i) {
                uint256 bits = Plans.bitsOf(op.shape[i]);
                if (i != without) mask = Fr.mul(mask, Fr.lessThan(point, bits, op.shape[i]));
                point += bits << 5;
            }
        }
    }

    function multiplicity(Walk memory walk, Table memory table_, uint256 domain) private pure {
        unchecked {
            uint256 bits = table_.bits;
            uint256 point = suffix(walk, bits);
            uint256 count = next(walk);
            claim(walk, walk.plan.witness[table_.multiplicity] | WITNESS, point, count);
            uint256 u = Fr.identity(point, bits);
            uint256 y = 0;
            if (domain > 0) {
                u = Fr.sub(u, 1 << (bits - 1));
                y = clamp(table_, point);
            }
            leaf(walk, table_.leaf, P - count, fingerprint(walk, domain, u, y));
        }
    }

    /// The extension of a clamp table (reference §4).
    function clamp(Table memory table_, uint256 point) private pure returns (uint256) {
        unchecked {
            uint256 high = table_.bits - 1 - table_.low;
            uint256 max = (1 << table_.low) - 1;
            uint256 top = Fr.load(point, 0);
            uint256 low = Fr.identity(point + ((1 + high) << 5), table_.low);
            uint256 positive = Fr.add(max, Fr.mul(Fr.zeros(point + 32, high), Fr.sub(low, max)));
            if (!table_.signed) return Fr.mul(top, positive);
            uint256 ones = Fr.eqIndex(point + 32, high, (1 << high) - 1);
            uint256 negative = Fr.sub(Fr.mul(ones, low), max + 1);
            return Fr.add(negative, Fr.mul(top, Fr.sub(positive, negative)));
        }
    }

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
    function terms(Walk memory walk, uint256 batching) internal pure returns (uint256) {
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
                    if (term.kind == 1 || term.kind == 2) ++count;
                    if (term.kind == 2) ++convs;
                    if (term.kind == 2 || (term.kind > 0 && term.input > 0)) ++count;
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
                    if (terms_[j].kind == 0) continue;
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
            value = conv(walk, op, term, own);
            uint256 index = gathered.count++;
            gathered.operations[index] = i;
            gathered.terms[index] = j;
            gathered.points[index] = own;
            gathered.values[index] = next(walk);
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
            uint256 channel = Plans.bitsOf(op.shape[op.shape.length - 1]);
            uint256 kept = op.bits - channel;
            value = next(walk);
            uint256 spot = Fr.concat(op.point + (kept << 5), channel, own, term.variables);
            claim(walk, walk.plan.key[term.weights], spot, value);
            spot = Fr.concat(op.point, kept, own, term.variables);
            return Fr.mul(value, tensor(walk, term.input, spot));
        }
    }

    function conv(Walk memory walk, Operation memory op, Term memory term, uint256 own)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            value = next(walk);
            uint256 spot = Fr.concat(
                op.point + (walk.plan.batchBits << 5),
                Plans.bitsOf(op.shape[0]),
                own,
                term.variables
            );
            claim(walk, walk.plan.key[term.weights], spot, value);
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
            value = Fr.mul(Fr.fromInt(term.coefficient), tensor(walk, term.input, spot));
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
                uint256 known = find(walk, id);
                if (known > 0) return walk.cachedTables[known - 1];
            }
            uint256[2] memory tables = [
                table(walk, points[0], Plans.bitsOf(sizes[0])),
                table(walk, points[1], Plans.bitsOf(sizes[1]))
            ];
            value = Sums.reach(term, axis, tables, sizes, taps);
            if (taps == 0) keep(walk, id, value);
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
                table(walk, taps, rows),
                table(walk, taps + (rows << 5), Plans.bitsOf(Plans.kernel(term, 1)))
            ];
            value = reachBoth(walk, op, term, from, own, tables);
            uint256 spot = Fr.concat(op.point, walk.plan.batchBits, a, channel);
            uint256 front = walk.plan.batchBits + channel;
            spot = Fr.concat(spot, front, own, Plans.bitsFrom(from, 1));
            return Fr.mul(value, tensor(walk, term.input, spot));
        }
    }
}
