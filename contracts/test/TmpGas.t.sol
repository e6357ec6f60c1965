// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;
import {Zk} from "../src/Zk.sol";
import {InferenceClaim} from "../src/interfaces/IZk.sol";
import {VectorFile} from "./Vectors.t.sol";
import {vm} from "./Vm.sol";
contract TmpGas is VectorFile {
    event G(string, uint256);
    Zk private zk;
    function setUp() public override { zk = new Zk(); }
    function testGas() public {
        _load("zk/v1/measured.json");
        bytes memory key = vm.parseJsonBytes(json, _at(0, ".key"));
        bytes memory input = vm.parseJsonBytes(json, _at(0, ".input"));
        bytes memory output = vm.parseJsonBytes(json, _at(0, ".output"));
        bytes memory proof = vm.parseJsonBytes(json, _at(0, ".proof"));
        InferenceClaim memory c = InferenceClaim({model: keccak256(key), context: _bytes32(0, ".context"), batch: uint32(_uint(0, ".batch")), input: keccak256(input), output: keccak256(output)});
        bytes memory call = abi.encodeCall(Zk.verify, (c, key, input, output, proof));
        uint256 data = 21000;
        for (uint256 i = 0; i < call.length; ++i) data += call[i] == 0 ? 4 : 16;
        uint256 before = gasleft();
        (bool ok,) = address(zk).call(call);
        uint256 used = before - gasleft();
        vm.assertTrue(ok);
        emit G("execution", used);
        emit G("data and base", data);
        emit G("total", used + data);
    }
}
