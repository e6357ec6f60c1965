// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// A term of an operation. `kind`: 0 scale, 1 dense, 2 convolution, 3 window, 4 product, 5 arrange.
struct Term {
    uint256 kind;
    uint256 input;
    /// The other tensor of a product.
    uint256 second;
    /// Four bytes for each operand of a product or arrangement, the first operand's low.
    uint256 labels;
    int256 coefficient;
    uint256 kept;
    /// Six bytes: kernel, stride and padding, rows before columns.
    uint256 window;
    uint256 weights;
    /// Where the weights' point comes from: two bytes for each dimension, the first low. The lower
    /// byte are its bits, the upper one its place in the operation's own part, or with bit 7 set in
    /// the point of what is summed.
    uint256 order;
    uint256 variables;
}

/// An operation and its places. Shapes' dimensions are `size << 8 | bits`. `output` is a column's number
/// plus 1, 0 for the network's output.
struct Operation {
    uint256[] shape;
    Term[] terms;
    uint256 shift;
    uint256 table;
    /// The bias's first axis, and the one behind its last; both 0 without a bias.
    uint256 biasAxis;
    uint256 biasEnd;
    uint256 bits;
    uint256 output;
    uint256 remainder;
    uint256 byteLeaf;
    uint256 tableLeaf;
    uint256 bias;
    uint256 point;
    /// The output's at the point, and what the terms have to add up to.
    uint256 value;
    uint256 target;
}

/// A table and its places.
struct Table {
    uint256 bits;
    uint256 low;
    bool signed;
    bool listed;
    uint256 multiplicity;
    uint256 leaf;
    /// The listed values, among the key's columns.
    uint256 values;
}

/// Everything that follows from the key and the batch. Columns are `offset << 8 | bits`.
struct Plan {
    uint256 rowBits;
    uint256 batch;
    uint256 batchBits;
    uint256[] input;
    /// The committed input's column plus 1, 0 if it is not committed, and its leaf.
    uint256 inputColumn;
    uint256 inputLeaf;
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
    /// Where this, and all that it refers to, ends in memory.
    uint256 end;
}

// Where a plan starts in memory, in whichever contract: its references are addresses.
uint256 constant PLAN = 128;
uint256 constant PLAN_BYTES = 17 * 32;

/// What is read of plans.
library Plans {
    /// Labels from here on are of indices that are summed.
    uint256 internal constant SUMMED = 4;

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
        assembly ("memory-safe") {
            let spot := add(shape, shl(5, first))
            for { let end := add(shape, shl(5, mload(shape))) } lt(spot, end) {} {
                spot := add(spot, 32)
                bits := add(bits, and(mload(spot), 255))
            }
        }
    }

    /// Whether a tensor that is read is committed; the last one is never read.
    function isCommitted(Plan memory plan, uint256 index) internal pure returns (bool) {
        unchecked {
            return index + plan.inputColumn > 0;
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

    /// Bits of a tensor's padded index, without the batch.
    function bitsOfTensor(Plan memory plan, uint256 index) internal pure returns (uint256) {
        unchecked {
            if (index == 0) return bitsFrom(plan.input, 0);
            return plan.operations[index - 1].bits - plan.batchBits;
        }
    }

    function tensor(Plan memory plan, uint256 index) internal pure returns (uint256[] memory) {
        unchecked {
            return index == 0 ? plan.input : plan.operations[index - 1].shape;
        }
    }

    /// The label of an operand's dimension; `labels` has four bytes.
    function label(uint256 labels, uint256 dimension) internal pure returns (uint256) {
        unchecked {
            return (labels >> (24 - 8 * dimension)) & 255;
        }
    }

    /// The dimension with a label; 0 if there is none.
    function sizeOf(uint256[] memory from, uint256 labels, uint256 own)
        private
        pure
        returns (uint256 size)
    {
        unchecked {
            for (uint256 i = 0; i < from.length; ++i) {
                if (label(labels, i) == own) size = from[i];
            }
        }
    }

    /// The dimension of an index that a product's sumcheck runs over, 0 if it does not: an index of the
    /// output is if both operands have it.
    function indexOf(uint256[] memory a, uint256[] memory b, uint256 labels, uint256 own)
        internal
        pure
        returns (uint256 size, uint256 other)
    {
        unchecked {
            size = sizeOf(a, labels, own);
            other = sizeOf(b, labels >> 32, own);
            if (own >= SUMMED) {
                if (size == 0) size = other;
                if (other == 0) other = size;
            }
        }
    }

    /// No vector has more columns, nor an opening more claims: an operation has its output, three
    /// bytes, a bias, and two claims a term; a table its counts and what it lists; the input two.
    function mostColumns(Plan memory plan) internal pure returns (uint256 most) {
        unchecked {
            most = 2 * plan.tables.length + 3;
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                most += 5 + 2 * plan.operations[i].terms.length;
            }
        }
    }
}
