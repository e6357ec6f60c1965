// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Messages, POINT_BYTES, Reader} from "./Messages.sol";

/// A term of an operation. `kind`: 0 scale, 1 dense, 2 convolution, 3 window.
struct Term {
    uint256 kind;
    uint256 input;
    int256 coefficient;
    uint256 kept;
    /// Six bytes: kernel, stride and padding, rows before columns.
    uint256 window;
    uint256 weights;
    uint256 variables;
}

/// An operation and its places. `output` is a column's number plus 1, 0 for the network's output.
struct Operation {
    uint256[] shape;
    Term[] terms;
    uint256 shift;
    uint256 table;
    uint256 biasAxis;
    uint256 bits;
    uint256 output;
    uint256 remainder;
    uint256 byteLeaf;
    uint256 tableLeaf;
    uint256 bias;
    uint256 point;
    uint256 target;
}

/// A clamp table and its places.
struct Table {
    uint256 bits;
    uint256 low;
    bool signed;
    uint256 multiplicity;
    uint256 leaf;
}

/// Everything that follows from the key and the batch. Columns are `offset << 8 | bits`.
struct Plan {
    uint256 rowBits;
    uint256 batch;
    uint256 batchBits;
    uint256[] input;
    Operation[] operations;
    Table[] tables;
    bool hasBytes;
    Table byteTable;
    uint256[] key;
    uint256[] witness;
    uint256[] leaves;
    uint256 leafBits;
    uint256 witnessRows;
    uint256 keyRows;
    uint256 keyPoints;
}

/// Decodes model keys and places columns (reference §2 and §4).
library Plans {
    bytes32 private constant CEREMONY =
        0xd39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7;
    uint256 private constant NONE = 255;

    /// Bits of an index below `size`, which is at most 2^32.
    function bitsOf(uint256 size) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            let top := sub(or(size, iszero(size)), 1)
            bits := shl(4, gt(top, 0xffff))
            bits := or(bits, shl(3, gt(shr(bits, top), 0xff)))
            bits := or(bits, shl(2, gt(shr(bits, top), 0xf)))
            bits := or(bits, shl(1, gt(shr(bits, top), 3)))
            bits := or(bits, gt(shr(bits, top), 1))
            bits := add(bits, iszero(iszero(top)))
        }
    }

    /// Bits of the padded index over dimensions from `first` on.
    function bitsFrom(uint256[] memory shape, uint256 first) internal pure returns (uint256 bits) {
        unchecked {
            for (uint256 i = first; i < shape.length; ++i) {
                bits += bitsOf(shape[i]);
            }
        }
    }

    /// The key's length is checked once, at its end.
    function number(Reader memory reader, uint256 bytes_) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            let cursor := mload(add(reader, 32))
            value := shr(sub(256, shl(3, bytes_)), calldataload(cursor))
            mstore(add(reader, 32), add(cursor, bytes_))
        }
    }

    function signed(Reader memory reader, uint256 bytes_) private pure returns (int256 value) {
        unchecked {
            uint256 raw = number(reader, bytes_);
            assembly ("memory-safe") {
                value := signextend(sub(bytes_, 1), raw)
            }
        }
    }

    function shape_(Reader memory reader) private pure returns (uint256[] memory shape) {
        unchecked {
            uint256 count = number(reader, 1);
            if (count == 0 || count > 4) Messages.reject(Reason.Key);
            shape = new uint256[](count);
            for (uint256 i = 0; i < count; ++i) {
                shape[i] = number(reader, 4);
                if (shape[i] == 0 || shape[i] > 1 << 16) Messages.reject(Reason.Key);
            }
            if (bitsFrom(shape, 0) > 26) Messages.reject(Reason.Key);
        }
    }

    function read(bytes calldata key, uint256 batch) internal pure returns (Plan memory plan) {
        unchecked {
            Reader memory reader;
            assembly ("memory-safe") {
                mstore(add(reader, 32), key.offset)
                mstore(add(reader, 64), add(key.offset, key.length))
            }
            if (number(reader, 5) != 0x505a4b3100) Messages.reject(Reason.Version);
            plan.rowBits = number(reader, 1);
            if (bytes32(number(reader, 32)) != CEREMONY) Messages.reject(Reason.Key);
            if (plan.rowBits < 6 || plan.rowBits > 12) Messages.reject(Reason.Key);
            if (batch == 0 || batch > 1 << 26) Messages.reject(Reason.PublicValues);
            plan.batch = batch;
            plan.batchBits = bitsOf(batch);
            plan.input = shape_(reader);
            plan.operations = new Operation[](number(reader, 2));
            if (plan.operations.length == 0) Messages.reject(Reason.Key);
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                operation(reader, plan, i);
            }
            plan.tables = new Table[](number(reader, 1));
            for (uint256 i = 0; i < plan.tables.length; ++i) {
                Table memory table = plan.tables[i];
                if (number(reader, 1) != 0) Messages.reject(Reason.Key);
                table.bits = number(reader, 1);
                table.low = number(reader, 1);
                table.signed = number(reader, 1) == 1;
                bool fine = table.low > 0 && table.low < table.bits && table.bits <= 18;
                if (!fine) Messages.reject(Reason.Key);
            }
            uint256 rows = number(reader, 4);
            plan.keyPoints = reader.cursor;
            if (reader.cursor + rows * POINT_BYTES != reader.end) Messages.reject(Reason.Key);
            place(plan);
            if (plan.keyRows != rows) Messages.reject(Reason.Key);
        }
    }

    function operation(Reader memory reader, Plan memory plan, uint256 spot) private pure {
        unchecked {
            Operation memory op = plan.operations[spot];
            op.shape = shape_(reader);
            op.shift = number(reader, 1);
            op.table = number(reader, 1);
            op.biasAxis = number(reader, 1);
            op.terms = new Term[](number(reader, 1));
            op.bits = plan.batchBits + bitsFrom(op.shape, 0);
            if (op.bits > 26 || op.shift % 8 > 0 || op.shift > 24 || op.terms.length == 0) {
                Messages.reject(Reason.Key);
            }
            if (op.shift > 0 && op.table == 0) Messages.reject(Reason.Key);
            if (op.biasAxis != NONE && op.biasAxis >= op.shape.length) Messages.reject(Reason.Key);
            for (uint256 i = 0; i < op.terms.length; ++i) {
                Term memory term = op.terms[i];
                term.kind = number(reader, 1);
                term.input = number(reader, 2);
                if (term.kind > 3 || term.input > spot) Messages.reject(Reason.Key);
                if (term.kind == 0 || term.kind == 3) term.coefficient = signed(reader, 4);
                if (term.kind == 1) term.kept = number(reader, 1);
                if (term.kind >= 2) term.window = number(reader, 6);
                check(op.shape, tensor(plan, term.input), term);
            }
        }
    }

    function kernel(Term memory term, uint256 axis) internal pure returns (uint256) {
        unchecked {
            return (term.window >> (40 - 8 * axis)) & 255;
        }
    }

    function stride(Term memory term, uint256 axis) internal pure returns (uint256) {
        unchecked {
            return (term.window >> (24 - 8 * axis)) & 255;
        }
    }

    function pad(Term memory term, uint256 axis) internal pure returns (int256 value) {
        uint256 window = term.window;
        assembly ("memory-safe") {
            value := signextend(0, shr(sub(8, shl(3, axis)), window))
        }
    }

    function tensor(Plan memory plan, uint256 index) internal pure returns (uint256[] memory) {
        unchecked {
            return index == 0 ? plan.input : plan.operations[index - 1].shape;
        }
    }

    /// Shapes have to fit; also counts the variables that a term sums over.
    function check(uint256[] memory to, uint256[] memory from, Term memory term) private pure {
        unchecked {
            bool fits;
            if (term.kind == 1) {
                fits = term.kept < from.length && to.length == term.kept + 1;
                for (uint256 i = 0; fits && i < term.kept; ++i) {
                    fits = to[i] == from[i];
                }
                term.variables = bitsFrom(from, term.kept);
            } else if (term.kind == 0) {
                fits = to.length == from.length;
                for (uint256 i = 0; fits && i < to.length; ++i) {
                    fits = to[i] == from[i];
                }
            } else {
                fits = to.length == 3 && from.length == 3;
                if (fits && term.kind == 3) fits = to[0] == from[0];
                for (uint256 i = 0; i < 2; ++i) {
                    // From 1 to 16.
                    fits = fits && (kernel(term, i) - 1 < 16) && (stride(term, i) - 1 < 16);
                }
                if (fits && term.kind == 3) {
                    term.variables = bitsFrom(from, 1);
                } else if (fits) {
                    term.variables =
                        bitsOf(from[0]) + bitsOf(kernel(term, 0)) + bitsOf(kernel(term, 1));
                }
            }
            if (!fits) Messages.reject(Reason.Key);
        }
    }

    /// Sizes of columns being collected.
    struct Sizes {
        uint256[] bits;
        uint256 count;
    }

    function add(Sizes memory sizes, uint256 bits) private pure returns (uint256 index) {
        unchecked {
            index = sizes.count++;
            sizes.bits[index] = bits;
        }
    }

    /// No vector has more columns, nor an opening more claims: an operation has its output, three
    /// bytes, a bias, and two claims a term.
    function mostColumns(Plan memory plan) internal pure returns (uint256 most) {
        unchecked {
            most = plan.tables.length + 1;
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                most += 5 + 2 * plan.operations[i].terms.length;
            }
        }
    }

    function place(Plan memory plan) private pure {
        unchecked {
            uint256 most = mostColumns(plan);
            Sizes memory key = Sizes({bits: new uint256[](most), count: 0});
            Sizes memory witness = Sizes({bits: new uint256[](most), count: 0});
            Sizes memory leaves = Sizes({bits: new uint256[](most), count: 0});
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    Term memory term = op.terms[j];
                    uint256 channel = term.kind == 1 ? op.shape[op.shape.length - 1] : op.shape[0];
                    if (term.kind == 1 || term.kind == 2) {
                        term.weights = add(key, bitsOf(channel) + term.variables);
                    }
                }
                if (op.biasAxis != NONE) op.bias = add(key, bitsOf(op.shape[op.biasAxis]));
                if (i + 1 < plan.operations.length) op.output = add(witness, op.bits) + 1;
                op.remainder = witness.count;
                op.byteLeaf = leaves.count;
                for (uint256 j = 0; j < op.shift; j += 8) {
                    add(witness, op.bits);
                    add(leaves, op.bits);
                    plan.hasBytes = true;
                }
                if (op.table > plan.tables.length) Messages.reject(Reason.Key);
                if (op.table > 0) op.tableLeaf = add(leaves, op.bits);
            }
            if (plan.hasBytes) {
                plan.byteTable.bits = 8;
                plan.byteTable.multiplicity = add(witness, 8);
                plan.byteTable.leaf = add(leaves, 8);
            }
            for (uint256 i = 0; i < plan.tables.length; ++i) {
                plan.tables[i].multiplicity = add(witness, plan.tables[i].bits);
                plan.tables[i].leaf = add(leaves, plan.tables[i].bits);
            }
            uint256 length;
            (plan.key, length) = columns(key);
            plan.keyRows = (length + (1 << plan.rowBits) - 1) >> plan.rowBits;
            (plan.witness, length) = columns(witness);
            plan.witnessRows = (length + (1 << plan.rowBits) - 1) >> plan.rowBits;
            (plan.leaves, length) = columns(leaves);
            plan.leafBits = bitsOf(length);
        }
    }

    /// Places columns by descending size, ties in order.
    function columns(Sizes memory sizes)
        private
        pure
        returns (uint256[] memory placed, uint256 length)
    {
        unchecked {
            uint256[27] memory next;
            for (uint256 i = 0; i < sizes.count; ++i) {
                next[sizes.bits[i]] += 1 << sizes.bits[i];
            }
            assembly ("memory-safe") {
                for { let spot := add(next, 864) } gt(spot, next) {} {
                    spot := sub(spot, 32)
                    let total := mload(spot)
                    mstore(spot, length)
                    length := add(length, total)
                }
            }
            placed = new uint256[](sizes.count);
            for (uint256 i = 0; i < sizes.count; ++i) {
                uint256 bits = sizes.bits[i];
                placed[i] = next[bits] << 8 | bits;
                next[bits] += 1 << bits;
            }
        }
    }
}
