//! JSON-RPC 2.0: from bytes to calls and back. Total: any bytes get an answer.

mod blocks;
mod call;
mod convert;
mod error;
mod fees;
mod filter;
mod params;
mod state;

use alloy::rpc::json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use error::RpcError;
use params::Params;

use crate::DevChain;
use crate::transaction::Rejection;

/// The largest request body, in bytes.
pub const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// The most calls in one batch.
pub const MAX_BATCH: usize = 1_000;

type Answer = Result<Answered, RpcError>;

/// A result as JSON, written where it belongs in the response: a list of logs has megabytes, which
/// would have to make way for what comes before them.
struct Answered(String);

impl Answered {
    const OPENING: &str = r#"{"jsonrpc":"2.0","result":"#;

    /// What `write` adds to the string is the result.
    fn write<E>(write: impl FnOnce(&mut String) -> Result<(), E>) -> Result<Self, E> {
        let mut response = Self::OPENING.to_owned();
        write(&mut response)?;
        Ok(Self(response))
    }

    fn result(&self) -> &str {
        self.0.get(Self::OPENING.len()..).unwrap_or_default()
    }

    fn response(self, id: &RawValue) -> String {
        let Self(mut response) = self;
        response.push_str(",\"id\":");
        response.push_str(id.get());
        response.push('}');
        response
    }
}

/// One call of a request.
struct Call {
    method: String,
    params: Option<Box<RawValue>>,
}

impl DevChain {
    /// Answers a JSON-RPC request, single or batch, as the HTTP endpoint does. The answer is empty
    /// when the request holds only notifications.
    pub async fn handle_bytes(&self, request: &[u8]) -> Vec<u8> {
        if request.len() > MAX_REQUEST_BYTES {
            return failure(RpcError::request("request is larger than 10 MiB"));
        }
        let is_batch = request.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        if is_batch {
            return self.handle_batch(request).await;
        }
        let raw: &RawValue = match serde_json::from_slice(request) {
            Ok(raw) => raw,
            Err(error) => return failure(RpcError::parse(&error)),
        };
        let answers = self.answer_all(vec![parse(raw)]).await;
        answers.into_iter().next().flatten().unwrap_or_default()
    }

    async fn handle_batch(&self, request: &[u8]) -> Vec<u8> {
        let raws: Vec<&RawValue> = match serde_json::from_slice(request) {
            Ok(raws) => raws,
            Err(error) => return failure(RpcError::parse(&error)),
        };
        if raws.is_empty() || raws.len() > MAX_BATCH {
            let what = format!("a batch holds 1 to {MAX_BATCH} requests, got {}", raws.len());
            return failure(RpcError::request(&what));
        }
        let answers = self.answer_all(raws.into_iter().map(parse).collect()).await;
        let answers: Vec<Vec<u8>> = answers.into_iter().flatten().collect();
        if answers.is_empty() {
            return Vec::new();
        }
        [b"[".as_slice(), &answers.join(b",".as_slice()), b"]"].concat()
    }

    /// Answers parsed requests in order; notifications have no answer.
    async fn answer_all(&self, requests: Vec<Parsed>) -> Vec<Option<Vec<u8>>> {
        let mut calls = Vec::with_capacity(requests.len());
        let mut forms = Vec::with_capacity(requests.len());
        for request in requests {
            match request {
                Parsed::Call { id, call } => {
                    calls.push(call);
                    forms.push(Ok(id));
                }
                Parsed::Invalid { id, error } => forms.push(Err((id, error))),
            }
        }
        let mut answers = self.answer(calls).await.into_iter();
        let answer = |form: Form| match form {
            Ok(id) => {
                let answer = answers.next().unwrap_or_else(|| Err(RpcError::internal("lost")));
                id.map(|id| encode(&id, answer))
            }
            Err((id, error)) => Some(encode_or_null(id.as_deref(), Err(error))),
        };
        forms.into_iter().map(answer).collect()
    }

    /// Answers calls in order. Transactions sent side by side go to the sealer as one group.
    async fn answer(&self, calls: Vec<Call>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut group = Vec::new();
        for call in calls {
            if call.method == "eth_sendRawTransaction" {
                group.push(call);
                continue;
            }
            answers.extend(self.send_group(std::mem::take(&mut group)).await);
            answers.push(self.answer_one(call).await);
        }
        answers.extend(self.send_group(group).await);
        answers
    }

    async fn send_group(&self, calls: Vec<Call>) -> Vec<Answer> {
        let mut accepted = Vec::with_capacity(calls.len());
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            let signed = Params::parse(call.params.as_deref())
                .and_then(|params| params.only_bytes())
                .and_then(|raw| Ok(self.accept(raw)?));
            match signed {
                Ok(signed) => {
                    accepted.push(signed);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(error)),
            }
        }
        if accepted.is_empty() {
            return outcomes.into_iter().flatten().map(Err).collect();
        }
        let mut sent = self.submit(accepted).await.into_iter();
        let outcome = |refused: Option<RpcError>| match refused {
            Some(error) => Err(error),
            None => match sent.next() {
                Some(result) => result.map_err(RpcError::from).and_then(|hash| json(&hash)),
                None => Err(RpcError::internal("lost")),
            },
        };
        outcomes.into_iter().map(outcome).collect()
    }

    async fn answer_one(&self, call: Call) -> Answer {
        let params = Params::parse(call.params.as_deref())?;
        match call.method.as_str() {
            "eth_sendRawTransactionSync" => self.send_sync(&params).await,
            // These can take milliseconds, which the runtime's own threads should not.
            "eth_call"
            | "eth_estimateGas"
            | "eth_createAccessList"
            | "eth_getLogs"
            | "eth_getProof"
            | "eth_getFilterLogs"
            | "eth_getFilterChanges"
            | "eth_getBlockReceipts"
            | "eth_feeHistory"
                if tokio::runtime::Handle::try_current().is_ok() =>
            {
                let chain = self.clone();
                let work = tokio::task::spawn_blocking(move || chain.read(&call.method, &params));
                work.await.unwrap_or_else(|_| Err(RpcError::internal("the call did not finish")))
            }
            method => self.read(method, &params),
        }
    }

    /// EIP-7966: sends and returns the receipt.
    async fn send_sync(&self, params: &Params) -> Answer {
        let signed = self.accept(params.required(0, "transaction")?)?;
        let hash = signed.hash;
        let sent = self.submit(vec![signed]).await.into_iter().next();
        sent.unwrap_or(Err(Rejection::NotSealed("lost".to_owned())))?;
        let snapshot = self.inner().store.snapshot()?;
        match convert::receipt_by_hash(&snapshot, hash)? {
            Some(receipt) => json(&receipt),
            None => Err(RpcError::waiting(hash)),
        }
    }

    /// The methods that only read.
    fn read(&self, method: &str, params: &Params) -> Answer {
        match method {
            "web3_clientVersion" => json(&concat!("probity-devchain/", env!("CARGO_PKG_VERSION"))),
            "web3_sha3" => json(&alloy_primitives::keccak256(params.only_bytes()?)),
            "net_version" => json(&self.chain_id().to_string()),
            "net_listening" => json(&true),
            "eth_chainId" => json(&alloy_primitives::U64::from(self.chain_id())),
            "eth_syncing" => json(&false),
            "eth_accounts" => json::<[(); 0]>(&[]),
            "eth_blockNumber" => self.block_number(),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => self.block(params),
            "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
                self.block_transaction_count(params)
            }
            "eth_getBlockReceipts" => self.block_receipts(params),
            "net_peerCount" | "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => {
                json(&"0x0")
            }
            "eth_getTransactionByHash" => self.transaction_by_hash(params),
            "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
                self.transaction_by_index(params)
            }
            "eth_getRawTransactionByHash" => self.raw_transaction(params),
            "eth_getTransactionReceipt" => self.transaction_receipt(params),
            "eth_getBalance" => self.balance(params),
            "eth_getTransactionCount" => self.transaction_count(params),
            "eth_getCode" => self.code(params),
            "eth_getStorageAt" => self.storage_at(params),
            "eth_getProof" => self.proof(params),
            "eth_call" => self.call(params),
            "eth_estimateGas" => self.estimate_gas(params),
            "eth_createAccessList" => self.create_access_list(params),
            "eth_gasPrice" => self.gas_price(),
            "eth_maxPriorityFeePerGas" => json(&alloy_primitives::U64::from(fees::TIP)),
            "eth_blobBaseFee" => json(&"0x1"),
            "eth_feeHistory" => self.fee_history(params),
            "eth_getLogs" => self.logs(params),
            "eth_newFilter" => self.new_filter(params),
            "eth_newBlockFilter" => self.install_filter(crate::filters::Kind::Blocks),
            "eth_newPendingTransactionFilter" => {
                self.install_filter(crate::filters::Kind::PendingTransactions)
            }
            "eth_uninstallFilter" => self.uninstall_filter(params),
            "eth_getFilterChanges" => self.filter_changes(params),
            "eth_getFilterLogs" => self.filter_logs(params),
            unknown => Err(RpcError::method_not_found(unknown)),
        }
    }

    /// Answers a packet of alloy's.
    pub(crate) async fn handle_packet(&self, packet: RequestPacket) -> ResponsePacket {
        let call = |request: &alloy::rpc::json_rpc::SerializedRequest| Call {
            method: request.method().to_owned(),
            params: request.params().map(ToOwned::to_owned),
        };
        let calls = packet.requests().iter().map(call).collect();
        let answers = self.answer(calls).await;
        let ids = packet.requests().iter().map(|request| request.id().clone());
        let response = |(id, answer): (_, Answer)| {
            let payload = match answer {
                Ok(answered) => match RawValue::from_string(answered.result().to_owned()) {
                    Ok(value) => ResponsePayload::Success(value),
                    Err(error) => ResponsePayload::Failure(
                        RpcError::internal(&error.to_string()).into_payload(),
                    ),
                },
                Err(error) => ResponsePayload::Failure(error.into_payload()),
            };
            Response { id, payload }
        };
        let mut responses = ids.zip(answers).map(response);
        match &packet {
            RequestPacket::Batch(_) => ResponsePacket::Batch(responses.collect()),
            RequestPacket::Single(request) => {
                let lost = || Response::internal_error(request.id().clone());
                ResponsePacket::Single(responses.next().unwrap_or_else(lost))
            }
        }
    }
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    jsonrpc: Option<String>,
    method: String,
    #[serde(default)]
    params: Option<Box<RawValue>>,
}

/// The id alone, so that it can be repeated even when the rest is wrong.
#[derive(Deserialize)]
struct Identity {
    // A present `null` is an id too; only an absent one makes a notification.
    #[serde(default, deserialize_with = "present")]
    id: Option<Box<RawValue>>,
}

fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(input).map(Some)
}

/// What to answer under: the id of a call, or an error already found.
type Form = Result<Option<Box<RawValue>>, (Option<Box<RawValue>>, RpcError)>;

enum Parsed {
    Call { id: Option<Box<RawValue>>, call: Call },
    Invalid { id: Option<Box<RawValue>>, error: RpcError },
}

fn parse(raw: &RawValue) -> Parsed {
    let invalid = |id, what: &str| Parsed::Invalid { id, error: RpcError::request(what) };
    let Ok(Identity { id }) = serde_json::from_str(raw.get()) else {
        return invalid(None, "a request is an object");
    };
    // Parsed whole, as it is repeated in the answer: a number out of range or half a surrogate pair
    // would make that unreadable.
    let plain = |id: &RawValue| {
        serde_json::from_str::<serde_json::Value>(id.get())
            .is_ok_and(|id| id.is_string() || id.is_number() || id.is_null())
    };
    if id.as_deref().is_some_and(|id| !plain(id)) {
        return invalid(None, "`id` is a string, a number or null");
    }
    match serde_json::from_str::<Request>(raw.get()) {
        Ok(request) if request.jsonrpc.as_deref().is_some_and(|version| version != "2.0") => {
            invalid(id, "`jsonrpc` is not \"2.0\"")
        }
        Ok(Request { method, params, .. }) => Parsed::Call { id, call: Call { method, params } },
        Err(error) => invalid(id, &error.to_string()),
    }
}

/// Serialises a result.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Answer {
    let value =
        serde_json::to_string(value).map_err(|error| RpcError::internal(&error.to_string()))?;
    Answered::write(|response| {
        response.push_str(&value);
        Ok(())
    })
}

fn failure(error: RpcError) -> Vec<u8> {
    encode_or_null(None, Err(error))
}

fn encode_or_null(id: Option<&RawValue>, answer: Answer) -> Vec<u8> {
    encode(id.unwrap_or(RawValue::NULL), answer)
}

fn encode(id: &RawValue, answer: Answer) -> Vec<u8> {
    match answer {
        Ok(answered) => answered.response(id),
        Err(error) => {
            let error = serde_json::to_string(&error.into_payload())
                .unwrap_or_else(|_| r#"{"code":-32603,"message":"internal error"}"#.to_owned());
            format!(r#"{{"jsonrpc":"2.0","error":{error},"id":{}}}"#, id.get())
        }
    }
    .into_bytes()
}
