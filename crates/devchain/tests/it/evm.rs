//! Calls, estimates, reverts, precompiles, proofs, the deployment proxy.

use alloy::rpc::types::EIP1186AccountProofResponse;
use alloy::sol_types::{Revert, SolCall, SolError};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{Nibbles, TrieAccount};
use probity_devchain::DEPLOYMENT_PROXY;
use serde_json::{Value, json};

use crate::common::{
    DevToken, START, World, creation_code, ether, key, number, quantity, sign, token_code,
};

/// EIP-2537: the generator of G1.
const G1: &str = "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb\
                  0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1";
/// Twice the generator, from the EIP's test vectors (`add_G1_bls.json`, `bls_g1add_g1+g1=2*g1`).
const TWO_G1: &str = "000000000000000000000000000000000572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e\
                      00000000000000000000000000000000166a9d8cabc673a322fda673779d8e3822ba3ecb8670e461f73bb9021d5fd76a4c56d9d4cd16bd1bba86881979749d28";
/// The negative of the generator.
const MINUS_G1: &str = "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb\
                        00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca";
/// The generator of G2.
const G2: &str = "00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8\
                  0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e\
                  000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801\
                  000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

async fn call_precompile(world: &World, number: u8, input: &[u8]) -> Value {
    let to = Address::with_last_byte(number);
    world.ok("eth_call", json!([{"to": to, "data": Bytes::copy_from_slice(input)}, "latest"])).await
}

#[tokio::test]
async fn bls12_381_precompiles_work() {
    let world = World::new();
    let sum = call_precompile(&world, 0x0b, &unhex(&[G1, G1].concat())).await;
    assert_eq!(sum, json!(hex::encode_prefixed(unhex(TWO_G1))), "G1ADD");
    let one = B256::with_last_byte(1);
    let pairing = unhex(&[G1, G2, MINUS_G1, G2].concat());
    assert_eq!(call_precompile(&world, 0x0f, &pairing).await, json!(one), "e(g,h)·e(-g,h) = 1");
    let unequal = unhex(&[G1, G2, G1, G2].concat());
    assert_eq!(call_precompile(&world, 0x0f, &unequal).await, json!(B256::ZERO));
    let mut off_curve = unhex(&[G1, G1].concat());
    off_curve[63] ^= 1;
    let call = json!([{"to": Address::with_last_byte(0x0b), "data": Bytes::from(off_curve)}]);
    assert!(world.rpc("eth_call", call).await.is_err());
}

#[tokio::test]
async fn reverts_come_back_with_their_data() {
    let world = World::new();
    // Reverts with what it is called with.
    let echo = world.deploy(0, 0, creation_code(&hex!("365f5f37365ffd"))).await;
    let data = Bytes::from(Revert::from("no such luck").abi_encode());
    for method in ["eth_call", "eth_estimateGas"] {
        let error = world.rpc(method, json!([{"to": echo, "data": data}])).await.unwrap_err();
        assert_eq!(error["code"], 3);
        assert_eq!(error["message"], "execution reverted: no such luck");
        assert_eq!(error["data"], json!(data));
    }
    let error = world.rpc("eth_call", json!([{"to": echo}])).await.unwrap_err();
    assert_eq!((&error["message"], &error["data"]), (&json!("execution reverted"), &json!("0x")));
    let invalid = world.deploy(0, 1, creation_code(&hex!("fe"))).await;
    let error = world.rpc("eth_call", json!([{"to": invalid}])).await.unwrap_err();
    assert_eq!(error["code"], -32000);
}

#[tokio::test]
async fn estimates_are_enough_and_not_much_more() {
    let world = World::new();
    let token = world.deploy(0, 0, token_code()).await;
    // The inner call sets a slot and clears it again, which refunds much at the end; the outer one
    // keeps back a 64th and reverts if the inner fails. Both make the need larger than the use.
    let inner = world.deploy(0, 1, creation_code(&hex!("60016002555f600255600160015500"))).await;
    let mut outer = hex!("5f5f5f5f5f73").to_vec();
    outer.extend(inner);
    outer.extend(hex!("5af16022575f5ffd5b00"));
    let outer = world.deploy(0, 2, creation_code(&outer)).await;
    let me = key(0).address();
    let mint = Bytes::from(DevToken::mintCall { account: me, amount: U256::from(5) }.abi_encode());
    let calls = [(token, mint), (outer, Bytes::new()), (Address::repeat_byte(0x99), Bytes::new())];
    for (nonce, (to, input)) in (3..).zip(calls) {
        let request = json!([{"from": me, "to": to, "data": input}]);
        let estimate = number(&world.ok("eth_estimateGas", request.clone()).await);
        let transaction = alloy::consensus::TxEip1559 {
            to: TxKind::Call(to),
            value: U256::ZERO,
            gas_limit: estimate,
            input,
            ..world.transfer(nonce)
        };
        let hash = world.send(&sign(transaction, &key(0))).await.unwrap();
        let receipt = world.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{estimate} is enough for {to}");
        let used = number(&receipt["gasUsed"]);
        assert!(estimate <= 2 * used, "{estimate} for a use of {used}");
    }
    let poor = json!([{"from": me, "to": token, "gas": "0x5300", "data": "0x40c10f19"}]);
    assert!(world.rpc("eth_estimateGas", poor).await.is_err());
}

#[tokio::test]
async fn calls_see_the_time_a_transaction_would() {
    let world = World::new();
    // Returns the timestamp and the number.
    let code = world.deploy(0, 0, creation_code(&hex!("425f524360205260405ff3"))).await;
    world.clock.set(START + 86_400);
    let answer = world.ok("eth_call", json!([{"to": code}, "latest"])).await;
    let answer = hex::decode(answer.as_str().unwrap()).unwrap();
    assert_eq!(U256::from_be_slice(&answer[..32]), U256::from(START + 86_400));
    assert_eq!(U256::from_be_slice(&answer[32..]), U256::from(1));
    let answer = world.ok("eth_call", json!([{"to": code}, "pending"])).await;
    let answer = hex::decode(answer.as_str().unwrap()).unwrap();
    assert_eq!(U256::from_be_slice(&answer[32..]), U256::from(2));
}

#[tokio::test]
async fn only_the_latest_state_can_be_queried() {
    let world = World::new();
    world.send(&sign(world.transfer(0), &key(0))).await.unwrap();
    let me = key(0).address();
    let error = world.rpc("eth_getBalance", json!([me, "0x0"])).await.unwrap_err();
    assert_eq!(error["message"], "state of block 0 is not kept: only that of the latest block, 1");
    let error = world.rpc("eth_getBalance", json!([me, "0x2"])).await.unwrap_err();
    assert_eq!(error["message"], "header not found");
    let head = world.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    for block in
        [json!("0x1"), json!({"blockHash": head["hash"]}), json!("safe"), json!("finalized")]
    {
        world.ok("eth_getBalance", json!([me, block])).await;
    }
    let error = world.rpc("eth_call", json!([{"to": me}, "latest", {me.to_string(): {}}])).await;
    assert_eq!(error.unwrap_err()["message"], "state overrides are not supported");
}

#[tokio::test]
async fn proofs_verify_against_the_header() {
    let world = World::new();
    let token = world.deploy(0, 0, token_code()).await;
    for nonce in 1..12_u64 {
        let account = Address::with_last_byte(u8::try_from(nonce).unwrap());
        let input = DevToken::mintCall { account, amount: U256::from(nonce) }.abi_encode().into();
        let mint = alloy::consensus::TxEip1559 {
            to: TxKind::Call(token),
            value: U256::ZERO,
            gas_limit: 100_000,
            input,
            ..world.transfer(nonce)
        };
        world.send(&sign(mint, &key(0))).await.unwrap();
    }
    let slot_of = |account: u8| {
        let account = Address::with_last_byte(account).into_word();
        keccak256([account.as_slice(), B256::ZERO.as_slice()].concat())
    };
    let head = world.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    let root: B256 = serde_json::from_value(head["stateRoot"].clone()).unwrap();
    let slots = [slot_of(3), slot_of(200), slot_of(11)];
    for (address, slots) in
        [(token, slots.as_slice()), (Address::repeat_byte(0xee), &[]), (key(1).address(), &[])]
    {
        let proof = world.ok("eth_getProof", json!([address, slots, "latest"])).await;
        let proof: EIP1186AccountProofResponse = serde_json::from_value(proof).unwrap();
        let account = TrieAccount {
            nonce: proof.nonce,
            balance: proof.balance,
            storage_root: proof.storage_hash,
            code_hash: proof.code_hash,
        };
        let expected = (account != TrieAccount::default()).then(|| alloy_rlp::encode(account));
        let path = Nibbles::unpack(keccak256(address));
        verify_proof(root, path, expected, &proof.account_proof).unwrap();
        for storage in &proof.storage_proof {
            let value = (!storage.value.is_zero()).then(|| alloy_rlp::encode(storage.value));
            let path = Nibbles::unpack(keccak256(storage.key.as_b256()));
            verify_proof(proof.storage_hash, path, value, &storage.proof).unwrap();
        }
        let values: Vec<u64> = proof.storage_proof.iter().map(|slot| slot.value.to()).collect();
        assert_eq!(values, [3, 0, 11][..slots.len()]);
    }
    let stored = world.ok("eth_getStorageAt", json!([token, slot_of(11), "latest"])).await;
    assert_eq!(quantity(&stored), U256::from(11));
}

#[tokio::test]
async fn the_deployment_proxy_deploys_to_known_addresses() {
    let world = World::new();
    let code = creation_code(&hex!("602a5f5260205ff3"));
    let salt = B256::repeat_byte(5);
    let deploy = alloy::consensus::TxEip1559 {
        to: TxKind::Call(DEPLOYMENT_PROXY),
        value: U256::ZERO,
        gas_limit: 200_000,
        input: [salt.as_slice(), &code].concat().into(),
        ..world.transfer(0)
    };
    world.send(&sign(deploy, &key(0))).await.unwrap();
    let address = DEPLOYMENT_PROXY.create2(salt, keccak256(&code));
    let answer = world.ok("eth_call", json!([{"to": address}])).await;
    assert_eq!(quantity(&answer), U256::from(42));
}

#[tokio::test]
async fn an_access_list_names_what_a_call_touches() {
    let world = World::new();
    let token = world.deploy(0, 0, token_code()).await;
    let input = Bytes::from(DevToken::totalSupplyCall {}.abi_encode());
    let call = json!([{"from": key(0).address(), "to": token, "data": input}]);
    let list = world.ok("eth_createAccessList", call).await;
    assert_eq!(
        list["accessList"],
        json!([{"address": token, "storageKeys": [B256::with_last_byte(2)]}])
    );
    assert!(number(&list["gasUsed"]) > 21_000);
}

#[tokio::test]
async fn an_account_that_is_created_and_destroyed_leaves_nothing() {
    let world = World::new();
    // Creation code that stores, then destroys itself: EIP-6780 removes it, as it is new.
    let code = Bytes::from(hex!("600160005573aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaff"));
    let create = alloy::consensus::TxEip1559 {
        to: TxKind::Create,
        value: ether(1),
        gas_limit: 200_000,
        input: code,
        ..world.transfer(0)
    };
    let hash = world.send(&sign(create, &key(0))).await.unwrap();
    assert_eq!(world.receipt(hash).await["status"], "0x1");
    let heir = world.ok("eth_getBalance", json!([Address::repeat_byte(0xaa), "latest"])).await;
    assert_eq!(quantity(&heir), ether(1));
    world.chain.verify(|_, _| ()).unwrap();
}
