//! The HTTP endpoint.

use std::future::{Future, pending};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::rpc::MAX_REQUEST_BYTES;
use crate::{DevChain, Error};

impl DevChain {
    /// Serves JSON-RPC over HTTP at `/` until the task is dropped.
    ///
    /// There is nothing secret behind it (the chain holds no keys), but whoever reaches it can use
    /// the disk: listen on loopback unless that is meant.
    ///
    /// # Errors
    /// [`Error::Serve`] if the listener fails.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), Error> {
        self.serve_until(listener, pending()).await
    }

    /// Serves until `shutdown` is ready, then finishes the requests under way.
    ///
    /// # Errors
    /// As [`DevChain::serve`].
    pub async fn serve_until(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let router = Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .with_state(self.clone());
        // Without this, small answers wait for the client's delayed acknowledgement (40 ms).
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(Error::Serve)
    }
}

async fn answer(State(chain): State<DevChain>, body: Bytes) -> Response {
    let answer = chain.handle_bytes(&body).await;
    if answer.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}
