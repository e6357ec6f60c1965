// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "../interfaces/IZk.sol";
import {Fr, P} from "./Fr.sol";
import {Messages, POINT_BYTES} from "./Messages.sol";
import {Plan} from "./Plan.sol";
import {Claims, Walk, Walks} from "./Walk.sol";

/// Opening all claims at once (reference §6).
library Opening {
    uint256 private constant G1_MSM = 0x0c;
    uint256 private constant G2_ADD = 0x0d;
    uint256 private constant G2_MSM = 0x0e;
    uint256 private constant PAIRING = 0x0f;

    /// Rows' scalars, filled in once the groups' weights are known.
    struct Rows {
        uint256[] key;
        uint256[] witness;
    }

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

    /// Verifies the opening of the walk's claims. `witness` is where the witness's rows are.
    function verify(Walk memory walk, uint256 batching, uint256 witness) internal view {
        unchecked {
            Plan memory plan = walk.plan;
            uint256[] memory groups = new uint256[](walk.claims.count);
            uint256 count = group(walk, groups);
            uint256 value = batch(walk.claims, batching);
            uint256 point = Fr.alloc(plan.rowBits);
            uint256 left = Messages.rounds(walk.reader, value, plan.rowBits, point);
            uint256 values = Fr.alloc(count);
            uint256 theta = Messages.scalars(walk.reader, 11, count, values);
            Rows memory rows = none(plan);
            weigh(walk, rows, groups, batching, [point, values, theta, left]);

            value = 0;
            for (uint256 i = count; i > 0; --i) {
                value = Fr.add(Fr.mul(value, theta), Fr.load(values, i - 1));
            }
            Ends memory ends = Ends({
                beta: 0, inverse: 0, difference: 0, mu: 0, symmetric: 0, quotient: 0, values: 0
            });
            (ends.symmetric, ends.beta) = Messages.points(walk.reader, 12, 1);
            ends.values = Fr.alloc(4);
            ends.mu = Messages.scalars(walk.reader, 13, 4, ends.values);
            // The last message answers nothing.
            ends.quotient = Messages.take(walk.reader, POINT_BYTES);
            symmetric(plan, ends, point, value);
            pairing(plan, rows, ends, witness);
        }
    }

    function none(Plan memory plan) private pure returns (Rows memory) {
        return Rows({key: new uint256[](plan.keyRows), witness: new uint256[](plan.witnessRows)});
    }

    function batch(Claims memory claims, uint256 batching) private pure returns (uint256 value) {
        unchecked {
            for (uint256 i = claims.count; i > 0; --i) {
                value = Fr.add(Fr.mul(value, batching), claims.values[i - 1]);
            }
        }
    }

    /// Numbers each claim's group by first appearance; returns how many there are.
    function group(Walk memory walk, uint256[] memory groups) private pure returns (uint256 count) {
        unchecked {
            Plan memory plan = walk.plan;
            Rows memory known = none(plan);
            for (uint256 i = 0; i < groups.length; ++i) {
                uint256 column = walk.claims.columns[i];
                if (column & 255 > plan.rowBits) {
                    groups[i] = count++;
                    continue;
                }
                uint256[] memory rows = column & Walks.WITNESS > 0 ? known.witness : known.key;
                uint256 row = (column & ~Walks.WITNESS) >> (8 + plan.rowBits);
                if (rows[row] == 0) rows[row] = ++count;
                groups[i] = rows[row] - 1;
            }
        }
    }

    /// Checks what sumcheck C left, and gives each row its scalar.
    function weigh(
        Walk memory walk,
        Rows memory rows,
        uint256[] memory groups,
        uint256 batching,
        uint256[4] memory c
    ) private pure {
        unchecked {
            uint256[] memory thetas = new uint256[](groups.length);
            uint256 sum = 0;
            uint256 eta = 1;
            uint256 made = 0;
            uint256[2] memory last = [uint256(0), 0];
            for (uint256 i = 0; i < groups.length; ++i) {
                uint256 spot = groups[i];
                uint256 value = Fr.mul(eta, weightAt(walk, i, c[0], last));
                sum = Fr.add(sum, Fr.mul(value, Fr.load(c[1], spot)));
                eta = Fr.mul(eta, batching);
                if (spot == made) {
                    thetas[spot] = spot == 0 ? 1 : Fr.mul(thetas[spot - 1], c[2]);
                    ++made;
                    spread(walk, rows, i, thetas[spot]);
                }
            }
            if (sum != c[3]) Messages.reject(Reason.Evaluations);
        }
    }

    /// A claim's weight at a point of a whole row. `last` keeps what the last point gave: an operation's
    /// output and remainders are claimed at the same.
    function weightAt(Walk memory walk, uint256 claim, uint256 point, uint256[2] memory last)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 rowBits = walk.plan.rowBits;
            uint256 column = walk.claims.columns[claim] & ~Walks.WITNESS;
            uint256 bits = column & 255;
            uint256 own = walk.claims.points[claim];
            uint256 place = bits < rowBits ? rowBits - bits : 0;
            if (last[0] != (own << 8 | bits)) {
                uint256 inner = own + ((bits + place - rowBits) << 5);
                last[0] = own << 8 | bits;
                last[1] = Fr.eq(inner, point + (place << 5), rowBits - place);
            }
            if (place == 0) return last[1];
            uint256 index = (column >> (8 + bits)) & ((1 << place) - 1);
            return Fr.mul(Fr.eqIndex(point, place, index), last[1]);
        }
    }

    /// Adds a group's share to the scalars of the rows it folds.
    function spread(Walk memory walk, Rows memory rows, uint256 claim, uint256 theta) private pure {
        unchecked {
            uint256 rowBits = walk.plan.rowBits;
            uint256 column = walk.claims.columns[claim];
            uint256[] memory scalars = column & Walks.WITNESS > 0 ? rows.witness : rows.key;
            column &= ~Walks.WITNESS;
            uint256 row = column >> (8 + rowBits);
            uint256 tall = (column & 255) > rowBits ? (column & 255) - rowBits : 0;
            if (row + (1 << tall) > scalars.length) Messages.reject(Reason.Key);
            uint256 fold = Fr.scaledTable(walk.claims.points[claim], tall, theta);
            uint256 count = 1 << tall;
            assembly ("memory-safe") {
                let p := P
                let to := add(add(scalars, 32), shl(5, row))
                for { let end := add(to, shl(5, count)) } lt(to, end) { to := add(to, 32) } {
                    mstore(to, addmod(mload(to), mload(fold), p))
                    fold := add(fold, 32)
                }
            }
        }
    }

    /// The identity that holds the inner product, at β.
    function symmetric(Plan memory plan, Ends memory ends, uint256 point, uint256 value)
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
            uint256 left = Fr.mul(Fr.load(v, 0), weightPolynomial(point, plan.rowBits, inverse));
            uint256 w = weightPolynomial(point, plan.rowBits, beta);
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
    function pairing(Plan memory plan, Rows memory rows, Ends memory ends, uint256 witness)
        private
        view
    {
        unchecked {
            (uint256 linear, uint256 constant_) = line(ends);
            uint256 mu = ends.mu;
            uint256 terms = Fr.alloc(5 * (plan.keyRows + plan.witnessRows + 4));
            uint256 spot = terms;
            spot = append(spot, plan.keyPoints, rows.key, false);
            spot = append(spot, witness, rows.witness, true);
            spot = single(spot, ends.symmetric, mu);
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

    /// Appends rows; those of the witness even with a zero scalar, so that they are validated. The
    /// identity, which zero rows commit to, adds nothing.
    function append(uint256 spot, uint256 points, uint256[] memory scalars, bool all)
        private
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            end := spot
            let word := add(scalars, 32)
            for { let last := add(word, shl(5, mload(scalars))) } lt(word, last) {
                word := add(word, 32)
                points := add(points, 96)
            } {
                let scalar := mload(word)
                // Each coordinate of 48 bytes as 16 and 32 of them.
                let x := calldataload(points)
                let y := calldataload(add(points, 48))
                let low := or(calldataload(add(points, 16)), calldataload(add(points, 64)))
                if and(or(all, gt(scalar, 0)), gt(or(or(x, y), low), 0)) {
                    mstore(end, shr(128, x))
                    mstore(add(end, 32), calldataload(add(points, 16)))
                    mstore(add(end, 64), shr(128, y))
                    mstore(add(end, 96), calldataload(add(points, 64)))
                    mstore(add(end, 128), scalar)
                    end := add(end, 160)
                }
            }
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
