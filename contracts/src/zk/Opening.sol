// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr, P} from "./Fr.sol";
import {Messages, POINT_BYTES, Reader} from "./Messages.sol";

/// Claims being opened. They are words: the number of a point's coordinates, these, and each claim's
/// column, value and point. A column is `offset << 8 | bits`, and its point is left out if it is the
/// first point's last coordinates.
struct Claims {
    uint256 rowBits;
    uint256 batching;
    /// The words behind the first point.
    uint256 from;
    uint256 end;
    /// Of the first point.
    uint256 coordinates;
    /// Call data; the key's rows are numbered first.
    uint256 key;
    uint256 keyRows;
    uint256 witness;
    uint256 rows;
    /// What the precompile will be given, zeros at first: for each row 64 bytes of x, as many of y, and a
    /// scalar. Until there is a point, the word before the scalar numbers the row's group, from 1.
    uint256 terms;
}

// Bytes of a term.
uint256 constant TERM = 160;

/// Opening all claims at once (reference §6).
library Opening {
    uint256 private constant G1_MSM = 0x0c;
    uint256 private constant G2_ADD = 0x0d;
    uint256 private constant G2_MSM = 0x0e;
    uint256 private constant PAIRING = 0x0f;
    /// A column of the witness.
    uint256 internal constant WITNESS = 1 << 255;
    /// A claim at the first point's last coordinates.
    uint256 internal constant SHARED = 1 << 254;

    struct Ends {
        uint256 beta;
        uint256 inverse;
        /// `1/(β − 1/β)`.
        uint256 difference;
        uint256 mu;
        uint256 symmetric;
        uint256 quotient;
        /// `f(β) f(1/β) S(β) S(1/β)`.
        uint256 values;
    }

    /// Verifies the opening of the claims by the rest of a proof.
    function verify(Claims memory claims, Reader memory reader) internal view {
        unchecked {
            uint256 point = Fr.alloc(claims.rowBits);
            (uint256 left, uint256 most) = batch(claims);
            left = Messages.rounds(reader, left, claims.rowBits, 2, point);
            uint256 groups = Fr.alloc(3 * most);
            uint256 count = weigh(claims, point, groups);
            uint256 values = Fr.alloc(count);
            uint256 theta = Messages.scalars(reader, 11, count, values);
            uint256 value = fold(claims, groups, values, count, theta, left);
            Ends memory ends = Ends({
                beta: 0, inverse: 0, difference: 0, mu: 0, symmetric: 0, quotient: 0, values: 0
            });
            (ends.symmetric, ends.beta) = Messages.points(reader, 12, 1);
            ends.values = Fr.alloc(4);
            ends.mu = Messages.scalars(reader, 13, 4, ends.values);
            // The last message answers nothing.
            ends.quotient = Messages.take(reader, POINT_BYTES);
            symmetric(claims.rowBits, ends, point, value);
            pairing(claims, ends);
            if (reader.cursor != reader.end) Messages.reject(Reason.ProofLength);
        }
    }

    /// The claim behind the one at `spot`.
    function following(uint256 spot) private pure returns (uint256 next) {
        assembly ("memory-safe") {
            let column := mload(spot)
            next := add(spot, 64)
            if iszero(and(column, SHARED)) {
                next := add(next, shl(5, and(column, 255)))
            }
        }
    }

    /// `Σ η^i value_i`; also counts the claims.
    function batch(Claims memory claims) private pure returns (uint256 value, uint256 count) {
        unchecked {
            uint256 eta = 1;
            uint256 batching = claims.batching;
            uint256 spot = claims.from;
            for (; spot < claims.end; spot = following(spot)) {
                ++count;
                assembly ("memory-safe") {
                    value := addmod(value, mulmod(eta, mload(add(spot, 32)), P), P)
                    eta := mulmod(eta, batching, P)
                }
            }
            if (spot != claims.end) Messages.reject(Reason.Key);
        }
    }

    /// Numbers the claims' groups by first appearance and sums each one's weights at C's point: three
    /// words for each group, this, its first claim and the term of its first row.
    function weigh(Claims memory claims, uint256 point, uint256 groups)
        private
        pure
        returns (uint256 count)
    {
        unchecked {
            uint256 rowBits = claims.rowBits;
            uint256 shared = suffixes(claims.from, point + (rowBits << 5), rowBits);
            uint256 eta = 1;
            for (uint256 spot = claims.from; spot < claims.end; spot = following(spot)) {
                uint256 column = Fr.load(spot, 0);
                uint256 weight = Fr.mul(eta, weightAt(rowBits, spot, point, shared));
                eta = Fr.mul(eta, claims.batching);
                uint256 label = termOf(claims, column) + 96;
                uint256 known = column & 255 > rowBits ? 0 : Fr.load(label, 0);
                if (known == 0) {
                    known = ++count;
                    assembly ("memory-safe") {
                        // The first group's, if several rows are folded.
                        if iszero(mload(label)) { mstore(label, known) }
                        let group := add(groups, mul(96, sub(known, 1)))
                        mstore(group, weight)
                        mstore(add(group, 32), spot)
                        mstore(add(group, 64), sub(label, 96))
                    }
                } else {
                    assembly ("memory-safe") {
                        let group := add(groups, mul(96, sub(known, 1)))
                        mstore(group, addmod(mload(group), weight, P))
                    }
                }
            }
        }
    }

    /// The term of a column's first row.
    function termOf(Claims memory claims, uint256 column) private pure returns (uint256) {
        unchecked {
            uint256 rowBits = claims.rowBits;
            uint256 bits = column & 255;
            uint256 row = (column & ~(WITNESS | SHARED)) >> (8 + rowBits);
            if (column & WITNESS > 0) row += claims.keyRows;
            uint256 last = row + (bits > rowBits ? (1 << (bits - rowBits)) - 1 : 0);
            if (last >= claims.rows) Messages.reject(Reason.Key);
            if (column & SHARED > 0 && bits > claims.coordinates) Messages.reject(Reason.Key);
            return claims.terms + TERM * row;
        }
    }

    /// `eq` of the last coordinates of two points, which end at `a` and `b`: of none, one, … `bits`.
    function suffixes(uint256 a, uint256 b, uint256 bits) private pure returns (uint256 products) {
        unchecked {
            products = Fr.alloc(bits + 1);
            assembly ("memory-safe") {
                let p := P
                let product := 1
                mstore(products, 1)
                for { let i := 32 } iszero(gt(i, shl(5, bits))) { i := add(i, 32) } {
                    let x := mload(sub(a, i))
                    let y := mload(sub(b, i))
                    // 1 + 2xy − (x + y); twice an element fits a word.
                    let xy := mulmod(x, y, p)
                    xy := addmod(add(xy, add(xy, 1)), sub(shl(1, p), add(x, y)), p)
                    product := mulmod(product, xy, p)
                    mstore(add(products, i), product)
                }
            }
        }
    }

    /// A claim's weight at a point of a whole row.
    function weightAt(uint256 rowBits, uint256 spot, uint256 point, uint256 shared)
        private
        pure
        returns (uint256 weight)
    {
        unchecked {
            uint256 column = Fr.load(spot, 0);
            uint256 bits = column & 255;
            uint256 inner = bits < rowBits ? bits : rowBits;
            uint256 place = rowBits - inner;
            if (column & SHARED > 0) {
                weight = Fr.load(shared, inner);
            } else {
                weight = Fr.eq(spot + ((2 + bits - inner) << 5), point + (place << 5), inner);
            }
            if (place > 0) {
                uint256 index = (column >> (8 + bits)) & ((1 << place) - 1);
                weight = Fr.mul(weight, Fr.eqIndex(point, place, index));
            }
        }
    }

    /// Checks what sumcheck C left, gives each row its scalar, and returns the folded value.
    function fold(
        Claims memory claims,
        uint256 groups,
        uint256 values,
        uint256 count,
        uint256 theta,
        uint256 left
    ) private pure returns (uint256 value) {
        unchecked {
            uint256 power = 1;
            uint256 sum = 0;
            uint256[2] memory last = [uint256(0), 0];
            for (uint256 i = 0; i < count; ++i) {
                uint256 own = Fr.load(values, i);
                sum = Fr.add(sum, Fr.mul(Fr.load(groups, 3 * i), own));
                value = Fr.add(value, Fr.mul(power, own));
                spread(claims, groups + 96 * i, i + 1, power, last);
                power = Fr.mul(power, theta);
            }
            if (sum != left) Messages.reject(Reason.Evaluations);
        }
    }

    /// Adds a group's share to the scalars of the rows it folds. `last` keeps the last table:
    /// operations of one size fold their weights alike.
    function spread(
        Claims memory claims,
        uint256 group_,
        uint256 index,
        uint256 theta,
        uint256[2] memory last
    ) private pure {
        unchecked {
            uint256 spot = Fr.load(group_, 1);
            uint256 column = Fr.load(spot, 0);
            uint256 to = Fr.load(group_, 2) + 128;
            uint256 bits = column & 255;
            if (bits <= claims.rowBits) {
                assembly ("memory-safe") {
                    mstore(to, addmod(mload(to), theta, P))
                }
                return;
            }
            uint256 point = column & SHARED > 0 ? claims.from - (bits << 5) : spot + 64;
            bits -= claims.rowBits;
            uint256 id;
            assembly ("memory-safe") {
                id := keccak256(point, shl(5, bits))
            }
            if (last[0] != id) {
                last[0] = id;
                last[1] = Fr.eqTable(point, bits);
            }
            // Nobody else has shares of a column of several rows; the first group finds zeros.
            if (Fr.load(to - 32, 0) == index) {
                Fr.putScaled(last[1], 1 << bits, theta, to, TERM);
            } else {
                Fr.addScaled(last[1], 1 << bits, theta, to, TERM);
            }
        }
    }

    /// The identity that holds the inner product, at β.
    function symmetric(uint256 rowBits, Ends memory ends, uint256 point, uint256 value)
        private
        view
    {
        unchecked {
            uint256 beta = ends.beta;
            // One inversion for both: β (β² − 1) is zero exactly if one of them does not exist.
            uint256 square = Fr.mul(beta, beta);
            uint256 both = Fr.inverse(Fr.mul(beta, Fr.add(square, P - 1)));
            if (both == 0) Messages.reject(Reason.Evaluations);
            uint256 inverse = Fr.mul(both, Fr.add(square, P - 1));
            ends.inverse = inverse;
            ends.difference = Fr.mul(square, both);
            uint256 v = ends.values;
            uint256 left = Fr.mul(Fr.load(v, 0), weightPolynomial(point, rowBits, inverse));
            uint256 w = weightPolynomial(point, rowBits, beta);
            left = Fr.add(left, Fr.mul(Fr.load(v, 1), w));
            uint256 right = Fr.add(value, value);
            right = Fr.add(right, Fr.mul(beta, Fr.load(v, 2)));
            right = Fr.add(right, Fr.mul(inverse, Fr.load(v, 3)));
            if (left != right) Messages.reject(Reason.Evaluations);
        }
    }

    function weightPolynomial(uint256 point, uint256 bits, uint256 x)
        private
        pure
        returns (uint256 product)
    {
        assembly ("memory-safe") {
            let p := P
            product := 1
            for { let spot := add(point, shl(5, bits)) } gt(spot, point) {} {
                spot := sub(spot, 32)
                let c := mload(spot)
                // 1 − c + c x
                let factor := add(mulmod(c, x, p), sub(add(p, 1), c))
                product := mulmod(product, factor, p)
                x := mulmod(x, x, p)
            }
        }
    }

    /// `e([h] − [I], [1]_2) · e(−[Q], [τ² − (β + 1/β) τ + 1]_2) = 1`. The pairing validates `[Q]`.
    function pairing(Claims memory claims, Ends memory ends) private view {
        unchecked {
            (uint256 linear, uint256 constant_) = line(ends);
            uint256 terms = claims.terms;
            uint256 spot = append(terms, claims.key, terms, claims.keyRows);
            uint256 own = terms + TERM * claims.keyRows;
            spot = append(spot, claims.witness, own, claims.rows - claims.keyRows);
            spot = single(spot, ends.symmetric, ends.mu);
            spot = constants(spot, P - constant_, P - linear);

            uint256 pairs = Fr.alloc(24);
            msm(terms, spot - terms, pairs);
            generator(pairs + 128);
            negative(pairs + 384, ends.quotient);
            vanishing(pairs + 512, Fr.add(ends.beta, ends.inverse));
            bool holds;
            assembly ("memory-safe") {
                holds := staticcall(gas(), PAIRING, pairs, 768, 0, 32)
                holds := and(holds, mload(0))
            }
            if (!holds) Messages.reject(Reason.Opening);
        }
    }

    /// `I`: linear and constant coefficient of the line through `h(β)` and `h(1/β)`.
    function line(Ends memory ends) private pure returns (uint256 linear, uint256 constant_) {
        unchecked {
            uint256 v = ends.values;
            uint256 end = Fr.add(Fr.load(v, 0), Fr.mul(ends.mu, Fr.load(v, 2)));
            uint256 other = Fr.add(Fr.load(v, 1), Fr.mul(ends.mu, Fr.load(v, 3)));
            linear = Fr.mul(Fr.sub(end, other), ends.difference);
            constant_ = Fr.sub(end, Fr.mul(linear, ends.beta));
        }
    }

    /// A point of the call data and a scalar, as the precompile wants them.
    function single(uint256 spot, uint256 point, uint256 scalar) private pure returns (uint256) {
        unchecked {
            assembly ("memory-safe") {
                mstore(spot, 0)
                calldatacopy(add(spot, 16), point, 48)
                mstore(add(spot, 64), 0)
                calldatacopy(add(spot, 80), add(point, 48), 48)
                mstore(add(spot, 128), scalar)
            }
            return spot + 160;
        }
    }

    /// The negative of a point of the call data; `y = 0` is the identity's, which stays.
    function negative(uint256 to, uint256 point) private pure {
        assembly ("memory-safe") {
            mstore(to, 0)
            calldatacopy(add(to, 16), point, 48)
            // y = high · 2^256 + low, subtracted from the base field's order.
            let high := shr(128, calldataload(add(point, 48)))
            let low := calldataload(add(point, 64))
            if or(high, low) {
                let order := 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab
                let difference := sub(order, low)
                high := sub(sub(0x1a0111ea397fe69a4b1ba7b6434bacd7, high), gt(low, order))
                low := difference
            }
            mstore(add(to, 64), high)
            mstore(add(to, 96), low)
        }
    }

    /// Puts the points into the terms from `from` on and moves these up to `spot`, without those of
    /// the identity, which zero rows commit to and which adds nothing.
    function append(uint256 spot, uint256 points, uint256 from, uint256 count)
        private
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            // Each coordinate of 48 bytes is 64 with zeros in front.
            function put(to, point) {
                calldatacopy(add(to, 16), point, 48)
                calldatacopy(add(to, 80), add(point, 48), 48)
            }
            // Moves what lies between `run` and `to` up.
            function move(up, run, to) -> behind {
                behind := add(up, sub(to, run))
                if iszero(eq(up, run)) { mcopy(up, run, sub(to, run)) }
            }
            let last := add(from, mul(count, TERM))
            let run := from
            end := spot
            for {} lt(from, last) {} {
                // Four at once if none of them can be the identity.
                if gt(sub(last, from), 639) {
                    let none :=
                        or(
                            or(
                                iszero(calldataload(add(points, 16))),
                                iszero(calldataload(add(points, 112)))
                            ),
                            or(
                                iszero(calldataload(add(points, 208))),
                                iszero(calldataload(add(points, 304)))
                            )
                        )
                    if iszero(none) {
                        calldatacopy(add(from, 16), points, 48)
                        calldatacopy(add(from, 80), add(points, 48), 48)
                        calldatacopy(add(from, 176), add(points, 96), 48)
                        calldatacopy(add(from, 240), add(points, 144), 48)
                        calldatacopy(add(from, 336), add(points, 192), 48)
                        calldatacopy(add(from, 400), add(points, 240), 48)
                        calldatacopy(add(from, 496), add(points, 288), 48)
                        calldatacopy(add(from, 560), add(points, 336), 48)
                        from := add(from, 640)
                        points := add(points, 384)
                        continue
                    }
                }
                let x := or(calldataload(points), calldataload(add(points, 16)))
                let y := or(calldataload(add(points, 48)), calldataload(add(points, 64)))
                switch or(x, y)
                case 0 {
                    end := move(end, run, from)
                    run := add(from, TERM)
                }
                default { put(from, points) }
                from := add(from, TERM)
                points := add(points, 96)
            }
            end := move(end, run, from)
        }
    }

    function msm(uint256 terms, uint256 length, uint256 to) private view {
        unchecked {
            bool done;
            assembly ("memory-safe") {
                done := staticcall(gas(), G1_MSM, terms, length, to, 128)
            }
            if (!done) Messages.reject(Reason.PointEncoding);
        }
    }

    /// `[1]_1` and `[τ]_1`, with scalars.
    function constants(uint256 spot, uint256 one, uint256 tau) private pure returns (uint256) {
        unchecked {
            assembly ("memory-safe") {
                mstore(
                    add(spot, 0),
                    0x0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f
                )
                mstore(
                    add(spot, 32),
                    0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb
                )
                mstore(
                    add(spot, 64),
                    0x0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4
                )
                mstore(
                    add(spot, 96),
                    0xfcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1
                )
                mstore(
                    add(spot, 160),
                    0x000000000000000000000000000000000d3eb50121139aa34db1d545093ac937
                )
                mstore(
                    add(spot, 192),
                    0x4ab7bca2c0f3bf28e27c8dcd8fc7cb42d25926fc0c97b336e9f0fb35e5a04c81
                )
                mstore(
                    add(spot, 224),
                    0x0000000000000000000000000000000017de623f59a3043952d2f637a935fae1
                )
                mstore(
                    add(spot, 256),
                    0x4b6dee8b255e526304963d58ab6f1a827c7de623d34d394f8a3d0f57d6e972b9
                )
                mstore(add(spot, 128), one)
                mstore(add(spot, 288), tau)
            }
            return spot + 320;
        }
    }

    /// `[1]_2`.
    function generator(uint256 to) private pure {
        assembly ("memory-safe") {
            mstore(add(to, 0), 0x00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051)
            mstore(add(to, 32), 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8)
            mstore(add(to, 64), 0x0000000000000000000000000000000013e02b6052719f607dacd3a088274f65)
            mstore(add(to, 96), 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e)
            mstore(add(to, 128), 0x000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351a)
            mstore(add(to, 160), 0xadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801)
            mstore(add(to, 192), 0x000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99)
            mstore(add(to, 224), 0xcb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be)
        }
    }

    /// `[τ² − sum τ + 1]_2`.
    function vanishing(uint256 to, uint256 sum) private view {
        uint256 terms = Fr.alloc(17);
        bool done;
        assembly ("memory-safe") {
            // [τ² + 1]_2, then −sum [τ]_2.
            mstore(
                add(terms, 0),
                0x0000000000000000000000000000000003c35632864ad8b7d91c77f8d3d01ee6
            )
            mstore(
                add(terms, 32),
                0x1adcb6981fb2312b1b639af2f754c13a2e1795095376e5f745567d55fe201a46
            )
            mstore(
                add(terms, 64),
                0x0000000000000000000000000000000004b1e0ce19a2adc28fa90b4f5003e5c8
            )
            mstore(
                add(terms, 96),
                0x34e63ca7be23c3c5efdee5d02e0c12f8e91abdbaec779bc562e9f1a290a290c6
            )
            mstore(
                add(terms, 128),
                0x000000000000000000000000000000000ba5d11120f75c0c7a1212df7a299a10
            )
            mstore(
                add(terms, 160),
                0x07af6d9339d32e1aabd9741b1e74848259557f23388a1a45a7d5abf7522d89cd
            )
            mstore(
                add(terms, 192),
                0x00000000000000000000000000000000113d21f518350ecba9472d7838025003
            )
            mstore(
                add(terms, 224),
                0xa6652fda04aa002edeed8a89c2552bb47c9e9da686bae0e0e4a0a321e690a3e3
            )
            let tau := add(terms, 256)
            mstore(add(tau, 0), 0x00000000000000000000000000000000185cbfee53492714734429b7b38608e2)
            mstore(add(tau, 32), 0x3926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2)
            mstore(add(tau, 64), 0x0000000000000000000000000000000015bfd7dd8cdeb128843bc287230af389)
            mstore(add(tau, 96), 0x26187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72)
            mstore(
                add(tau, 128),
                0x00000000000000000000000000000000014353bdb96b626dd7d5ee8599d1fca2
            )
            mstore(
                add(tau, 160),
                0x131569490e28de18e82451a496a9c9794ce26d105941f383ee689bfbbb832a99
            )
            mstore(
                add(tau, 192),
                0x000000000000000000000000000000001666c54b0a32529503432fcae0181b4b
            )
            mstore(
                add(tau, 224),
                0xef79de09fc63671fda5ed1ba9bfa07899495346f3d7ac9cd23048ef30d0a154f
            )
            mstore(add(tau, 256), sub(P, sum))
            done := staticcall(gas(), G2_MSM, tau, 288, tau, 256)
            done := and(staticcall(gas(), G2_ADD, terms, 512, to, 256), done)
        }
        if (!done) Messages.reject(Reason.Opening);
    }
}
