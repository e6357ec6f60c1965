// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Challenges} from "../src/Challenges.sol";
import {Inferences} from "../src/Inferences.sol";
import {Payouts} from "../src/Payouts.sol";
import {Zk} from "../src/Zk.sol";
import {vm} from "./Vm.sol";

/// The committed artifacts, put through the deterministic deployment proxy, come to lie where
/// deployment.json says.
contract DeploymentTest {
    // https://github.com/Arachnid/deterministic-deployment-proxy
    bytes private constant PROXY_CODE = hex"7fffffffffffffffffffffffffffffffffffffffffff"
        hex"ffffffffffffffffffffe03601600081602082378035"
        hex"828234f58015156039578182fd5b8082525050506014600cf3";

    string private json;

    function test_deployment() public {
        json = vm.readFile("deployment.json");
        vm.etch(vm.parseJsonAddress(json, ".factory"), PROXY_CODE);
        address registry = _deploy("Registry", "");
        address challenges = _deploy("Challenges", abi.encode(registry));
        address payouts = _deploy("Payouts", abi.encode(registry, challenges));
        _deploy("DevToken", "");
        address opening = _deploy("ZkOpening", "");
        address keys = _deploy("ZkKeys", "");
        address zk = _deploy("Zk", abi.encode(opening, keys));
        address inferences = _deploy("Inferences", abi.encode(registry, zk));
        vm.assertEq(address(Challenges(challenges).registry()), registry);
        vm.assertEq(address(Payouts(payouts).registry()), registry);
        vm.assertEq(address(Payouts(payouts).challenges()), challenges);
        vm.assertEq(address(Zk(zk).OPENING()), opening);
        vm.assertEq(address(Zk(zk).KEYS()), keys);
        vm.assertEq(address(Inferences(inferences).registry()), registry);
        vm.assertEq(address(Inferences(inferences).zk()), zk);
    }

    function _deploy(string memory name, bytes memory arguments) private returns (address) {
        string memory artifact = vm.readFile(string.concat("out-abi/", name, ".json"));
        bytes32 salt = vm.parseJsonBytes32(json, ".salt");
        vm.assertEq(salt, keccak256("probity.v1"));
        address factory = vm.parseJsonAddress(json, ".factory");
        bytes memory code = vm.parseJsonBytes(artifact, ".bytecode");
        (bool succeeded, bytes memory answer) = factory.call(bytes.concat(salt, code, arguments));
        vm.assertTrue(succeeded, name);
        address deployed = address(bytes20(answer));
        vm.assertEq(deployed, vm.parseJsonAddress(json, string.concat(".addresses.", name)));
        return deployed;
    }
}
