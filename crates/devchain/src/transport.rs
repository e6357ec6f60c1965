//! Calling the chain in process, through alloy.

use std::task::{Context, Poll};

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportFut};
use tower::Service;

use crate::DevChain;

/// An alloy transport that skips HTTP: give it to `RpcClient::new(transport, true)`. Keeps the
/// chain open.
#[derive(Debug, Clone)]
pub struct Transport {
    chain: DevChain,
}

impl Transport {
    pub(crate) fn new(chain: DevChain) -> Self {
        Self { chain }
    }
}

impl Service<RequestPacket> for Transport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain = self.chain.clone();
        Box::pin(async move { Ok(chain.handle_packet(packet).await) })
    }
}
