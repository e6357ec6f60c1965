// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr} from "./Fr.sol";
import {Messages, POINT_BYTES, Reader} from "./Messages.sol";
import {Operation, Plan, Plans, Table, Term} from "./Plan.sol";

/// Decodes model keys and places columns (reference §2 and §4).
library Keys {
    bytes32 private constant CEREMONY =
        0xd39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7;
    uint256 private constant LABELS = 8;
    // The structs' words.
    uint256 private constant OPERATION_BYTES = 15 * 32;
    uint256 private constant TERM_BYTES = 10 * 32;
    /// Inputs of at least as many bits, batch included, are committed.
    uint256 private constant COMMITTED_INPUT_BITS = 9;

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
                uint256 size = number(reader, 4);
                if (size - 1 >= 1 << 16) Messages.reject(Reason.Key);
                shape[i] = size << 8 | Plans.bitsOf(size);
            }
            if (Plans.bitsFrom(shape, 0) > 26) Messages.reject(Reason.Key);
        }
    }

    /// Has to be the first that takes memory, so that the plan lies at `PLAN`.
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
            plan.batchBits = Plans.bitsOf(batch);
            plan.input = shape_(reader);
            if (plan.batchBits + Plans.bitsFrom(plan.input, 0) > 26) {
                Messages.reject(Reason.PublicValues);
            }
            plan.operations = operations(number(reader, 2));
            if (plan.operations.length == 0) Messages.reject(Reason.Key);
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                operation(reader, plan, i);
            }
            plan.tables = new Table[](number(reader, 1));
            for (uint256 i = 0; i < plan.tables.length; ++i) {
                Table memory table = plan.tables[i];
                uint256 kind = number(reader, 1);
                table.listed = kind == 1;
                table.bits = number(reader, 1);
                table.low = number(reader, 1);
                table.signed = number(reader, 1) == 1;
                bool fine = table.listed ? table.low == 0 : kind == 0 && table.low > 0;
                fine = fine && table.low < table.bits && table.bits <= 18;
                if (!fine) Messages.reject(Reason.Key);
            }
            uint256 rows = number(reader, 4);
            if (reader.cursor + rows * POINT_BYTES != reader.end) Messages.reject(Reason.Key);
            place(plan);
            if (plan.keyRows != rows) Messages.reject(Reason.Key);
            // It lies within the plan, which is to follow from key and batch alone.
            (reader.cursor, reader.end) = (0, 0);
        }
    }

    /// A list of structs of `size` bytes each, all zero.
    function zeroed(uint256 count, uint256 size) private pure returns (uint256 list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, count)
            let item := add(list, shl(5, add(count, 1)))
            let all := mul(count, size)
            // Behind the end of the call data there are zeros.
            calldatacopy(item, calldatasize(), all)
            mstore(0x40, add(item, all))
            for { let spot := add(list, shl(5, count)) } gt(spot, list) { spot := sub(spot, 32) } {
                all := sub(all, size)
                mstore(spot, add(item, all))
            }
        }
    }

    /// Their shapes and terms are set before they are read.
    function operations(uint256 count) private pure returns (Operation[] memory list) {
        uint256 made = zeroed(count, OPERATION_BYTES);
        assembly ("memory-safe") {
            list := made
        }
    }

    function terms(uint256 count) private pure returns (Term[] memory list) {
        uint256 made = zeroed(count, TERM_BYTES);
        assembly ("memory-safe") {
            list := made
        }
    }

    function operation(Reader memory reader, Plan memory plan, uint256 spot) private pure {
        unchecked {
            Operation memory op = plan.operations[spot];
            op.shape = shape_(reader);
            op.shift = number(reader, 1);
            op.table = number(reader, 1);
            uint256 bias = number(reader, 1);
            if (bias != 255) {
                op.biasAxis = bias & 15;
                op.biasEnd = op.biasAxis + (bias >> 4) + 1;
            }
            op.terms = terms(number(reader, 1));
            op.bits = plan.batchBits + Plans.bitsFrom(op.shape, 0);
            bool fine = op.bits <= 26 && op.shift % 8 == 0 && op.shift <= 24;
            fine = fine && op.terms.length + op.biasEnd > 0 && op.biasEnd <= op.shape.length;
            if (!fine) Messages.reject(Reason.Key);
            if (op.shift > 0 && op.table == 0) Messages.reject(Reason.Key);
            for (uint256 i = 0; i < op.terms.length; ++i) {
                Term memory term = op.terms[i];
                term.kind = number(reader, 1);
                term.input = number(reader, 2);
                if (term.kind > 5 || term.input > spot) Messages.reject(Reason.Key);
                if (term.kind == 1) term.kept = number(reader, 1);
                else if (term.kind != 2) term.coefficient = signed(reader, 4);
                if (term.kind == 2 || term.kind == 3) term.window = number(reader, 6);
                if (term.kind >= 4) term.labels = number(reader, 4);
                if (term.kind == 4) {
                    term.second = number(reader, 2);
                    term.labels |= number(reader, 4) << 32;
                    if (term.second > spot) Messages.reject(Reason.Key);
                    uint256[] memory second = Plans.tensor(plan, term.second);
                    product(op.shape, Plans.tensor(plan, term.input), second, term);
                    term.variables += plan.batchBits;
                } else {
                    check(op.shape, Plans.tensor(plan, term.input), term);
                }
            }
        }
    }

    /// Shapes have to fit; also counts the variables that a term sums over.
    function check(uint256[] memory to, uint256[] memory from, Term memory term) private pure {
        unchecked {
            bool fits;
            if (term.kind == 1) {
                fits = term.kept < from.length && term.kept < to.length;
                for (uint256 i = 0; fits && i < term.kept; ++i) {
                    fits = to[i] == from[i];
                }
                term.variables = Plans.bitsFrom(from, term.kept);
            } else if (term.kind == 5) {
                fits = fit(to, from, term.labels);
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
                    fits = fits && (Plans.kernel(term, i) - 1 < 16)
                        && (Plans.stride(term, i) - 1 < 16);
                }
                if (fits && term.kind == 3) {
                    term.variables = Plans.bitsFrom(from, 1);
                } else if (fits) {
                    term.variables = (from[0] & 255) + Plans.bitsOf(Plans.kernel(term, 0))
                        + Plans.bitsOf(Plans.kernel(term, 1));
                }
            }
            if (!fits) Messages.reject(Reason.Key);
        }
    }

    /// Whether there is a label for each dimension, none twice, and dimensions named after the
    /// output's have their size.
    function fit(uint256[] memory to, uint256[] memory from, uint256 labels)
        private
        pure
        returns (bool fits)
    {
        unchecked {
            fits = true;
            uint256 seen = 0;
            for (uint256 i = 0; i < 4; ++i) {
                uint256 own = Plans.label(labels, i);
                if (i >= from.length) {
                    fits = fits && own == 255;
                    continue;
                }
                fits = fits && own < LABELS && (seen >> own) & 1 == 0;
                if (fits && own < Plans.SUMMED) fits = own < to.length && to[own] == from[i];
                seen |= 1 << own;
            }
        }
    }

    /// A product's operands have to fit; also counts the variables of its sumcheck.
    function product(uint256[] memory to, uint256[] memory a, uint256[] memory b, Term memory term)
        private
        pure
    {
        unchecked {
            bool fits = fit(to, a, term.labels & 0xffffffff) && fit(to, b, term.labels >> 32);
            uint256 work = Plans.bitsFrom(to, 0);
            for (uint256 i = 0; i < LABELS; ++i) {
                (uint256 size, uint256 other) = Plans.indexOf(a, b, term.labels, i);
                if (size * other > 0) {
                    fits = fits && size == other;
                    term.variables += size & 255;
                    if (i >= Plans.SUMMED) work += size & 255;
                } else if (i < to.length) {
                    fits = fits && (size + other > 0 || to[i] == 1 << 8);
                }
            }
            if (!fits || work > 32) Messages.reject(Reason.Key);
        }
    }

    /// Weights' dimensions by how much of them is not padding; two bytes each, as in `Term.order`.
    struct Order {
        uint256[8] entries;
        uint256 count;
    }

    /// Puts dimensions from `first` to `last` in their order, the least filled in front.
    function sort(
        Order memory order,
        uint256[] memory shape,
        uint256 first,
        uint256 last,
        uint256 from
    ) private pure {
        unchecked {
            for (uint256 i = first; i < last; ++i) {
                uint256 bits = shape[i] & 255;
                uint256 entry = (((shape[i] >> 8) << 32) >> bits) << 16 | from << 8 | bits;
                from += bits;
                if (bits == 0) continue;
                uint256 spot = order.count++;
                for (; spot > 0 && order.entries[spot - 1] >> 16 > entry >> 16; --spot) {
                    order.entries[spot] = order.entries[spot - 1];
                }
                order.entries[spot] = entry;
            }
        }
    }

    /// The order of a term's weights.
    function ordered(uint256[] memory to, uint256[] memory from, Term memory term)
        private
        pure
        returns (uint256 packed)
    {
        unchecked {
            Order memory order = Order({entries: [uint256(0), 0, 0, 0, 0, 0, 0, 0], count: 0});
            if (term.kind == 1) {
                sort(order, to, term.kept, to.length, 0);
                sort(order, from, term.kept, from.length, 128);
            } else {
                uint256[] memory kernel_ = new uint256[](3);
                kernel_[0] = from[0];
                for (uint256 axis = 0; axis < 2; ++axis) {
                    uint256 size = Plans.kernel(term, axis);
                    kernel_[1 + axis] = size << 8 | Plans.bitsOf(size);
                }
                sort(order, to, 0, 1, 0);
                sort(order, kernel_, 0, 3, 128);
            }
            for (uint256 i = order.count; i > 0; --i) {
                packed = packed << 16 | order.entries[i - 1] & 0xffff;
            }
        }
    }

    /// Sizes of columns being collected, and how much there is of each.
    struct Sizes {
        uint256[] bits;
        uint256 count;
        uint256[27] totals;
    }

    function add(Sizes memory sizes, uint256 bits) private pure returns (uint256 index) {
        assembly ("memory-safe") {
            index := mload(add(sizes, 32))
            mstore(add(sizes, 32), add(index, 1))
            mstore(add(add(mload(sizes), 32), shl(5, index)), bits)
            let total := add(mload(add(sizes, 64)), shl(5, bits))
            let one := 1
            mstore(total, add(mload(total), shl(bits, one)))
        }
    }

    function none(uint256 most) private pure returns (Sizes memory sizes) {
        sizes.bits = new uint256[](most);
    }

    function place(Plan memory plan) private pure {
        unchecked {
            plan.end = Fr.alloc(0);
            uint256 most = Plans.mostColumns(plan);
            Sizes memory key = none(most);
            Sizes memory witness = none(most);
            Sizes memory leaves = none(most);
            uint256 inputBits = plan.batchBits + Plans.bitsFrom(plan.input, 0);
            if (inputBits >= COMMITTED_INPUT_BITS) {
                plan.inputColumn = add(witness, inputBits) + 1;
                plan.inputLeaf = add(leaves, inputBits);
                plan.hasBytes = true;
            }
            for (uint256 i = 0; i < plan.operations.length; ++i) {
                Operation memory op = plan.operations[i];
                for (uint256 j = 0; j < op.terms.length; ++j) {
                    Term memory term = op.terms[j];
                    if (term.kind - 1 < 2) {
                        uint256 bits = term.variables;
                        if (term.kind == 1) bits += Plans.bitsFrom(op.shape, term.kept);
                        else bits += op.shape[0] & 255;
                        // Tensors are this large too; `Sizes` counts no larger ones.
                        if (bits > 26) Messages.reject(Reason.Key);
                        term.weights = add(key, bits);
                        term.order = ordered(op.shape, Plans.tensor(plan, term.input), term);
                    }
                }
                if (op.biasEnd > 0) {
                    uint256 behind = Plans.bitsFrom(op.shape, op.biasEnd);
                    op.bias = add(key, Plans.bitsFrom(op.shape, op.biasAxis) - behind);
                }
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
                if (plan.tables[i].listed) plan.tables[i].values = add(key, plan.tables[i].bits);
            }
            uint256 length;
            (plan.key, length) = columns(plan, key);
            plan.keyRows = (length + (1 << plan.rowBits) - 1) >> plan.rowBits;
            (plan.witness, length) = columns(plan, witness);
            plan.witnessRows = (length + (1 << plan.rowBits) - 1) >> plan.rowBits;
            (plan.leaves, length) = columns(plan, leaves);
            plan.leafBits = Plans.bitsOf(length);
        }
    }

    /// Places columns by descending size, ties in order. They move to the plan's end, over the sizes.
    function columns(Plan memory plan, Sizes memory sizes)
        private
        pure
        returns (uint256[] memory placed, uint256 length)
    {
        uint256 end = plan.end;
        assembly ("memory-safe") {
            let next := mload(add(sizes, 64))
            let one := 1
            for { let spot := add(next, 864) } gt(spot, next) {} {
                spot := sub(spot, 32)
                let total := mload(spot)
                mstore(spot, length)
                length := add(length, total)
            }
            let list := mload(sizes)
            let size := shl(5, add(mload(add(sizes, 32)), 1))
            mstore(list, sub(shr(5, size), 1))
            let spot := add(list, 32)
            for { let last := add(list, size) } lt(spot, last) { spot := add(spot, 32) } {
                let bits := mload(spot)
                let place_ := add(next, shl(5, bits))
                let offset := mload(place_)
                mstore(spot, or(shl(8, offset), bits))
                mstore(place_, add(offset, shl(bits, one)))
            }
            placed := end
            mcopy(placed, list, size)
            end := add(placed, size)
        }
        plan.end = end;
    }
}
