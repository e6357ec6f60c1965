//! alloy with all its fillers, in process and over HTTP.

use alloy::network::{EthereumWallet, TransactionBuilder};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy_primitives::{Address, U256};

use crate::common::{DevToken, World, ether, key, token_code};

#[tokio::test]
async fn alloy_in_process() {
    let world = World::new();
    drive(&world, world.provider(key(0))).await;
    world.chain.verify(|_, _| ()).unwrap();
}

#[tokio::test]
async fn alloy_over_http() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let chain = world.chain.clone();
    let server = tokio::spawn(async move {
        chain.serve_until(listener, async move { drop(stopped.await) }).await
    });
    let wallet = EthereumWallet::from(key(0));
    drive(&world, ProviderBuilder::new().wallet(wallet).connect_http(url).erased()).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

/// What the rest of the product does with a chain.
async fn drive(world: &World, provider: DynProvider) {
    assert_eq!(provider.get_chain_id().await.unwrap(), world.chain.chain_id());
    let me = key(0).address();
    let friend = Address::repeat_byte(0x42);

    let transfer = TransactionRequest::default().with_to(friend).with_value(ether(3));
    let receipt = provider.send_transaction(transfer).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(provider.get_balance(friend).await.unwrap(), ether(3));
    let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
    assert_eq!(provider.get_balance(me).await.unwrap(), ether(1_000) - ether(3) - fee);

    let create = TransactionRequest::default().with_deploy_code(token_code());
    let receipt = provider.send_transaction(create).await.unwrap().get_receipt().await.unwrap();
    let address = receipt.contract_address.unwrap();
    assert!(!provider.get_code_at(address).await.unwrap().is_empty());

    let token = DevToken::new(address, &provider);
    let minted = token.mint(me, U256::from(1_000)).send().await.unwrap();
    let receipt = minted.get_receipt().await.unwrap();
    let event = receipt.decoded_log::<DevToken::Transfer>().unwrap();
    assert_eq!((event.from, event.to, event.value), (Address::ZERO, me, U256::from(1_000)));
    token.transfer(friend, U256::from(40)).send().await.unwrap().watch().await.unwrap();
    assert_eq!(token.balanceOf(friend).call().await.unwrap(), U256::from(40));

    let filter = Filter::new().address(address).topic2(friend.into_word()).from_block(0);
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 1);
    let found = logs[0].log_decode::<DevToken::Transfer>().unwrap();
    assert_eq!(found.inner.value, U256::from(40));

    let error = token.transfer(friend, U256::from(5_000)).call().await.unwrap_err();
    let error = error.as_decoded_error::<DevToken::ERC20InsufficientBalance>().unwrap();
    assert_eq!((error.balance, error.needed), (U256::from(960), U256::from(5_000)));

    let head = provider.get_block_number().await.unwrap();
    let block = provider.get_block_by_number(head.into()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash_slow(), block.header.hash, "the hash re-derives");
    assert_eq!(block.transactions.len(), 1);
    let by_hash = provider.get_block_by_hash(block.header.hash).full().await.unwrap();
    assert_eq!(by_hash.unwrap(), block);
    assert_eq!(provider.get_transaction_count(me).pending().await.unwrap(), 4);
    let history = provider.get_fee_history(4, head.into(), &[10.0, 90.0]).await.unwrap();
    assert_eq!(history.base_fee_per_gas.len(), 5);
    assert_eq!(history.reward.unwrap().len(), 4);
}

#[tokio::test]
async fn many_sends_at_once_fill_the_same_blocks() {
    let world = World::new();
    let provider = world.provider(key(0));
    let send = |nonce| {
        let transfer = TransactionRequest::default()
            .with_to(Address::repeat_byte(9))
            .with_value(U256::from(1))
            .with_nonce(nonce);
        let provider = provider.clone();
        async move { provider.send_transaction(transfer).await.unwrap().get_receipt().await.unwrap() }
    };
    // Latest nonce first, so that all but the last arrive with a gap.
    let receipts = futures::future::join_all((0..50).rev().map(send)).await;
    assert!(receipts.iter().all(alloy::rpc::types::TransactionReceipt::status));
    assert_eq!(provider.get_balance(Address::repeat_byte(9)).await.unwrap(), U256::from(50));
    world.chain.verify(|_, _| ()).unwrap();
}

#[tokio::test]
async fn block_filters_report_each_block_once() {
    let world = World::new();
    let provider = world.provider(key(0));
    let id = provider.new_block_filter().await.unwrap();
    let send = || async {
        let transfer = TransactionRequest::default().with_to(Address::ZERO).with_value(U256::ONE);
        provider.send_transaction(transfer).await.unwrap().get_receipt().await.unwrap()
    };
    let (first, second) = (send().await, send().await);
    let hashes = provider.get_filter_changes_dyn(id).await.unwrap();
    let expected = vec![first.block_hash.unwrap(), second.block_hash.unwrap()];
    assert_eq!(hashes.as_hashes().unwrap(), expected);
    assert!(
        provider.get_filter_changes_dyn(id).await.unwrap().as_hashes().is_none_or(<[_]>::is_empty)
    );
    assert!(provider.uninstall_filter(id).await.unwrap());
    assert!(provider.get_filter_changes_dyn(id).await.is_err());
}
