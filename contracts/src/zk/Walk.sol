// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr, P} from "./Fr.sol";
import {Messages, Reader} from "./Messages.sol";
import {Operation, Plan, Plans, Table, Term} from "./Plan.sol";
import {Sums} from "./Sums.sol";

/// The verifier's state while it walks through the operations.
struct Walk {
    Plan plan;
    Reader reader;
    /// Claims about committed columns, three words each: column, value, point; where the next goes.
    uint256 claims;
    uint256 lastClaim;
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
    /// Two words for each tensor: at which point a dense term or a window read it last, and its value.
    uint256 reads;
    /// A committed input's value at the tree's point.
    uint256 inputValue;
    /// The last sums along windows' axes, and what they are of.
    uint256[4] sums;
}

/// The operations' equations (reference §5) and the lookups' leaves (reference §4).
library Walks {
    uint256 internal constant WITNESS = 1 << 255;
    /// A claim at the last coordinates of the tree's point.
    uint256 internal constant SHARED = 1 << 254;
    uint256 private constant MAX_CACHED = 64;
    uint256 private constant HALF =
        0x39f6d3a994cebea4199cec0404d0ec02a9ded2017fff2dff7fffffff80000001;
    // 1/(1 + 256^n): coordinates of the point at which extensions are packed bytes.
    uint256 private constant PACKED_1 =
        0x2bc14b1b675d4f293236b426e4c19148bbfedc48da253b9fff00ff009e619e62;
    uint256 private constant PACKED_2 =
        0x493eab4c78eb9f5f41b6574ee4bf13dc71c74cdbf4600241ffff00005e40a1c0;
    uint256 private constant PACKED_4 =
        0x1576fd6488e8a3faaad5e7d1258ee83e2bd388113bacd2eba13342292f665eec;
    uint256 private constant PACKED_8 =
        0x63cae2e6e367e2024b4274ffbc70b71b42bd88515e8a2b5f4ef7620a8d66ce33;

    function start(Walk memory walk) internal pure {
        unchecked {
            walk.claims = Fr.alloc(3 * Plans.mostColumns(walk.plan));
            walk.lastClaim = walk.claims;
            uint256[] memory empty = new uint256[](2 * walk.plan.operations.length + 2);
            uint256 reads;
            assembly ("memory-safe") {
                reads := add(empty, 32)
            }
            walk.reads = reads;
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

    function next(Walk memory walk) internal pure returns (uint256 value) {
        unchecked {
            value = Fr.load(walk.next, 0);
            walk.next += 32;
        }
    }

    function claim(Walk memory walk, uint256 column, uint256 point, uint256 value) internal pure {
        unchecked {
            // Nothing else ends where the tree's point does.
            if (point + ((column & 255) << 5) == walk.z + (walk.zBits << 5)) column |= SHARED;
            uint256 spot = walk.lastClaim;
            walk.lastClaim = spot + 96;
            assembly ("memory-safe") {
                mstore(spot, column)
                mstore(add(spot, 32), value)
                mstore(add(spot, 64), point)
            }
        }
    }

    /// The claims as `IZkOpening` wants them, the tree's point in front.
    function packed(Walk memory walk, uint256 batching) internal pure returns (bytes memory words) {
        unchecked {
            uint256 rowBits = walk.plan.rowBits;
            uint256 z = walk.z;
            uint256 zBits = walk.zBits;
            uint256 last = walk.lastClaim;
            uint256 spot = walk.claims;
            assembly ("memory-safe") {
                words := mload(0x40)
                let to := add(words, 32)
                mstore(to, rowBits)
                mstore(add(to, 32), batching)
                to := add(to, 64)
                mstore(to, zBits)
                mcopy(add(to, 32), z, shl(5, zBits))
                to := add(to, shl(5, add(zBits, 1)))
                for {} lt(spot, last) { spot := add(spot, 96) } {
                    let column := mload(spot)
                    mstore(to, column)
                    mstore(add(to, 32), mload(add(spot, 32)))
                    to := add(to, 64)
                    if iszero(and(column, SHARED)) {
                        let size := shl(5, and(column, 255))
                        mcopy(to, mload(add(spot, 64)), size)
                        to := add(to, size)
                    }
                }
                mstore(words, sub(to, add(words, 32)))
                mstore(0x40, to)
            }
        }
    }

    /// `eq(point, ·)`, made once.
    function table(Walk memory walk, uint256 point, uint256 bits) internal pure returns (uint256) {
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
    function find(Walk memory walk, uint256 id) internal pure returns (uint256 found) {
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

    function keep(Walk memory walk, uint256 id, uint256 value) internal pure {
        unchecked {
            if (walk.cached < MAX_CACHED) {
                walk.cachedPoints[walk.cached] = id;
                walk.cachedTables[walk.cached++] = value;
            }
        }
    }

    /// A tensor's value: evaluated here if public, else sent and claimed.
    function tensor(Walk memory walk, uint256 index, uint256 point)
        internal
        pure
        returns (uint256 value)
    {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 column = plan.inputColumn;
            if (index == 0) {
                if (column == 0) {
                    return publicAt(walk, values(plan.input, walk.input, 1, 0), point);
                }
            } else {
                Operation memory op = plan.operations[index - 1];
                column = op.output;
                if (column == 0) {
                    return publicAt(walk, values(op.shape, walk.output, 8, 0), point);
                }
            }
            value = next(walk);
            claim(walk, plan.witness[column - 1] | WITNESS, point, value);
        }
    }

    /// Public values in the call data, of `width` bytes each.
    struct Public {
        uint256[] shape;
        uint256 data;
        uint256 width;
        /// Bytes are taken 2^packed at once, as one number.
        uint256 packed;
        /// Values in a row, and the table of `eq` along it: filled in.
        uint256 last;
        uint256 inner;
    }

    function values(uint256[] memory shape, uint256 data, uint256 width, uint256 packed_)
        private
        pure
        returns (Public memory)
    {
        return Public({shape: shape, data: data, width: width, packed: packed_, last: 0, inner: 0});
    }

    /// `Σ eq(point, i) · value_i`, of packed values without the coordinates within one.
    function publicAt(Walk memory walk, Public memory all, uint256 point)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256[] memory shape = all.shape;
            all.last = shape[shape.length - 1] >> 8;
            uint256 bits = shape[shape.length - 1] & 255;
            uint256 outer = walk.plan.batchBits + Plans.bitsFrom(shape, 0) - bits;
            uint256 offset = P;
            if (all.packed == 0) {
                offset = all.width == 1 ? 128 : 1 << 63;
                offset = P - Fr.mul(offset, Fr.lessThan(point + (outer << 5), bits, all.last));
            }
            all.inner = table(walk, point + (outer << 5), bits - all.packed);
            outer = table(walk, point, outer);
            uint256 count = walk.plan.batch;
            for (uint256 i = 0; i + 1 < shape.length; ++i) {
                count *= shape[i] >> 8;
            }
            // Rows of one plane lie side by side; the next plane's place skips the padding.
            uint256 plane = shape.length > 1 ? shape[shape.length - 2] >> 8 : count;
            for (uint256 place = 0; count > 0; count -= plane) {
                sum = Fr.add(sum, rows(all, outer + (place << 5), plane, offset));
                place = Sums.following(shape, place + plane - 1);
            }
        }
    }

    /// The sum over the next rows, with their factors.
    function rows(Public memory all, uint256 outer, uint256 count, uint256 offset)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            (uint256 data, uint256 size, uint256 inner) = (all.data, all.last, all.inner);
            all.data = data + count * size * all.width;
            if (all.packed == 4 && size & 31 == 0) {
                return Sums.packedRows(data, size, inner, outer, count);
            }
            for (; count > 0; --count) {
                uint256 row;
                if (all.packed > 0) row = Sums.packedLine(data, size, all.packed, inner);
                else if (all.width == 1) row = Sums.bytesLine(data, size, inner);
                else row = Sums.wordsLine(data, size, inner);
                data += size * all.width;
                sum = Fr.add(sum, Fr.mul(Fr.load(outer, 0), row + offset));
                outer += 32;
            }
        }
    }

    /// Reads the values at the point, checks the lookups' leaves; returns the batching challenge.
    function atPoint(Walk memory walk) internal pure returns (uint256 challenge) {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 count = plan.tables.length + (plan.hasBytes ? 1 : 0);
            if (plan.inputColumn > 0) ++count;
            for (uint256 i = 0; i < plan.tables.length; ++i) {
                if (plan.tables[i].listed) ++count;
            }
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                count += op.shift / 8 + (op.output > 0 ? 1 : 0) + (op.table > 0 ? 1 : 0);
                if (op.biasEnd > 0) ++count;
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    Term memory term = op.terms[j];
                    if (term.kind == 5 && Plans.isCommitted(plan, term.input)) ++count;
                }
            }
            walk.next = Fr.alloc(count);
            challenge = Messages.scalars(walk.reader, 8, count, walk.next);
            (uint256 numerator, uint256 denominator) = (walk.numerator, walk.denominator);
            (walk.numerator, walk.denominator) = (0, 1);
            if (plan.inputColumn > 0) input(walk);
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

    /// A committed input: its values are bytes, and packed those of the call data (reference §5).
    function input(Walk memory walk) private pure {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 column = plan.witness[plan.inputColumn - 1];
            uint256 bits = column & 255;
            uint256 point = suffix(walk, bits);
            uint256 value = next(walk);
            walk.inputValue = value;
            claim(walk, column | WITNESS, point, value);
            leaf(walk, plan.inputLeaf, 1, fingerprint(walk, 0, Fr.add(value, 128), 0));
            uint256 low = plan.input[plan.input.length - 1] & 255;
            if (low > 4) low = 4;
            value = publicAt(walk, values(plan.input, walk.input, 1, low), point);
            uint256 packed_ = Fr.alloc(bits);
            assembly ("memory-safe") {
                mcopy(packed_, point, shl(5, bits))
            }
            uint256[4] memory packing = [PACKED_1, PACKED_2, PACKED_4, PACKED_8];
            for (uint256 i = 0; i < low; ++i) {
                uint256 coordinate = packing[i];
                value = Fr.mul(value, coordinate);
                assembly ("memory-safe") {
                    mstore(add(packed_, shl(5, sub(sub(bits, 1), i))), coordinate)
                }
            }
            claim(walk, column | WITNESS, packed_, value);
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
            op.value = y;
            uint256 u = op.table > 0 ? next(walk) : y;
            uint256 target = Fr.mul(u, 1 << op.shift);
            for (uint256 i = 0; i < op.shift / 8; ++i) {
                uint256 value = next(walk);
                claim(walk, walk.plan.witness[op.remainder + i] | WITNESS, op.point, value);
                target = Fr.add(target, Fr.mul(value, 1 << (8 * i)));
                leaf(walk, op.byteLeaf + i, 1, fingerprint(walk, 0, value, 0));
            }
            if (op.table > 0) leaf(walk, op.tableLeaf, 1, fingerprint(walk, op.table, u, y));
            (uint256 mask, uint256 others) = masks(walk, op);
            if (op.shift > 0) {
                target = Fr.sub(target, Fr.mul(mask, 1 << (op.shift - 1)));
            }
            if (op.biasEnd > 0) {
                uint256 own = suffix(walk, Plans.bitsFrom(op.shape, op.biasAxis));
                uint256 value = next(walk);
                claim(walk, walk.plan.key[op.bias], own, value);
                target = Fr.sub(target, Fr.mul(value, others));
            }
            for (uint256 i = 0; i < op.terms.length; ++i) {
                Term memory term = op.terms[i];
                if (term.kind % 5 > 0) continue;
                uint256 value =
                    term.kind == 0 ? scaled(walk, op, term) : arrangement(walk, op, term);
                target = Fr.sub(target, Fr.mul(value, Fr.fromInt(term.coefficient)));
            }
            op.target = target;
        }
    }

    /// What a scale reads: of the same shape, hence at the same point, where its value was read as an
    /// output.
    function scaled(Walk memory walk, Operation memory op, Term memory term)
        private
        pure
        returns (uint256)
    {
        unchecked {
            if (!Plans.isCommitted(walk.plan, term.input)) return tensor(walk, 0, op.point);
            if (term.input == 0) return walk.inputValue;
            return walk.plan.operations[term.input - 1].value;
        }
    }

    /// Where the output's point has each dimension's coordinates.
    function parts(Walk memory walk, Operation memory op)
        internal
        pure
        returns (uint256[8] memory spots)
    {
        unchecked {
            uint256 spot = op.point + (walk.plan.batchBits << 5);
            for (uint256 i = 0; i < op.shape.length; ++i) {
                spots[i] = spot;
                spot += (op.shape[i] & 255) << 5;
            }
        }
    }

    /// The point of an operand: the batch's coordinates, then each dimension's, by its label.
    function arranged(
        Walk memory walk,
        uint256[] memory from,
        uint256 labels,
        uint256[8] memory spots,
        uint256 batch
    ) internal pure returns (uint256 point) {
        unchecked {
            uint256 bits = walk.plan.batchBits;
            point = Fr.alloc(bits + Plans.bitsFrom(from, 0));
            uint256 to = point;
            for (uint256 i = 0;; ++i) {
                assembly ("memory-safe") {
                    mcopy(to, batch, shl(5, bits))
                    to := add(to, shl(5, bits))
                }
                if (i == from.length) break;
                bits = from[i] & 255;
                batch = spots[Plans.label(labels, i)];
            }
        }
    }

    /// An arranged tensor's value: a summed index at one half, times its padded size; masked along
    /// the output's other dimensions.
    function arrangement(Walk memory walk, Operation memory op, Term memory term)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            uint256[] memory from = Plans.tensor(walk.plan, term.input);
            uint256[8] memory spots = parts(walk, op);
            uint256 halves = Fr.alloc(26);
            for (uint256 i = 0; i < 26; ++i) {
                assembly ("memory-safe") {
                    mstore(add(halves, shl(5, i)), HALF)
                }
            }
            uint256 factor = 1;
            uint256 seen = 0;
            for (uint256 i = 0; i < from.length; ++i) {
                uint256 own = Plans.label(term.labels, i);
                if (own >= Plans.SUMMED) factor <<= from[i] & 255;
                seen |= 1 << own;
            }
            for (uint256 i = 0; i < op.shape.length; ++i) {
                if ((seen >> i) & 1 == 1) continue;
                uint256 bits = op.shape[i] & 255;
                factor = Fr.mul(factor, Fr.lessThan(spots[i], bits, op.shape[i] >> 8));
            }
            for (uint256 i = Plans.SUMMED; i < 8; ++i) {
                spots[i] = halves;
            }
            uint256 point = arranged(walk, from, term.labels, spots, op.point);
            return Fr.mul(factor, tensor(walk, term.input, point));
        }
    }

    /// The extension of the valid positions: over all axes, and over those without a bias.
    function masks(Walk memory walk, Operation memory op)
        private
        pure
        returns (uint256 mask, uint256 others)
    {
        unchecked {
            if (op.shift + op.biasEnd == 0) return (0, 0);
            uint256 point = op.point;
            others = Fr.lessThan(point, walk.plan.batchBits, walk.plan.batch);
            mask = 1;
            point += walk.plan.batchBits << 5;
            for (uint256 i = 0; i < op.shape.length; ++i) {
                uint256 bits = op.shape[i] & 255;
                bool isBias = i >= op.biasAxis && i < op.biasEnd;
                // A bias's own axes are masked by the key's zeros.
                if (!isBias || op.shift > 0) {
                    uint256 valid = Fr.lessThan(point, bits, op.shape[i] >> 8);
                    if (isBias) mask = Fr.mul(mask, valid);
                    else others = Fr.mul(others, valid);
                }
                point += bits << 5;
            }
            mask = Fr.mul(mask, others);
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
            if (table_.listed) {
                y = next(walk);
                claim(walk, walk.plan.key[table_.values], point, y);
            } else if (domain > 0) {
                y = clamp(table_, point);
            }
            if (domain > 0 && (table_.signed || !table_.listed)) {
                u = Fr.sub(u, 1 << (bits - 1));
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
}
