//! The chains under measurement, behind one small client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::U256;
use probity_core::SystemClock;
use probity_devchain::{DevChain, Genesis, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Outcome, token};

/// Runs the work and returns how many per second.
#[expect(clippy::cast_precision_loss, reason = "a rate for people to look at")]
pub(crate) fn rate(count: usize, work: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

pub(crate) trait Target {
    /// Posts a JSON-RPC body and returns the answer's bytes.
    fn post(&mut self, body: &str) -> Outcome<Vec<u8>>;

    /// Sends a group in one batch; on return all are mined.
    fn send_group(&mut self, group: &[String]) -> Outcome {
        let calls: Vec<String> = group.iter().map(|raw| send(raw)).collect();
        let answer = self.post(&format!("[{}]", calls.join(",")))?;
        let answers: Vec<Value> = serde_json::from_slice(&answer)?;
        answers.iter().try_for_each(|answer| result(answer).map(drop))
    }

    /// Calls one method and returns the result as JSON.
    fn request(&mut self, method: &str, params: &str) -> Outcome<String> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let answer: Value = serde_json::from_slice(&self.post(&body)?)?;
        result(&answer)
    }

    /// Sends a transaction and reads its receipt, as clients do.
    fn send_and_confirm(&mut self, raw: &str) -> Outcome {
        let hash = self.request("eth_sendRawTransaction", &format!(r#"["{raw}"]"#))?;
        let start = Instant::now();
        while start.elapsed().as_secs() < 60 {
            let receipt = self.request("eth_getTransactionReceipt", &format!("[{hash}]"))?;
            if receipt != "null" {
                let receipt: Value = serde_json::from_str(&receipt)?;
                return match receipt["status"].as_str() {
                    Some("0x1") => Ok(()),
                    _ => Err(format!("transaction failed: {receipt}").into()),
                };
            }
        }
        Err("no receipt".into())
    }

    fn chain_id(&mut self) -> Outcome<u64> {
        Ok(serde_json::from_str::<U256>(&self.request("eth_chainId", "[]")?)?.to())
    }
}

fn send(raw: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["{raw}"]}}"#)
}

fn result(answer: &Value) -> Outcome<String> {
    match answer.get("result") {
        Some(result) => Ok(result.to_string()),
        None => Err(answer.to_string().into()),
    }
}

pub(crate) fn genesis() -> Genesis {
    let alloc = vec![(token::signer().address(), U256::from(10).pow(U256::from(24)))];
    Genesis { alloc, gas_limit: 30_000_000, timestamp: 1_700_000_000, ..Genesis::default() }
}

/// This chain, called directly.
pub(crate) struct InProcess {
    runtime: Runtime,
    pub(crate) chain: DevChain,
    dir: TempDir,
}

impl InProcess {
    pub(crate) fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let chain = DevChain::create(dir.path(), &genesis(), Arc::new(SystemClock))?;
        Ok(Self { runtime: Runtime::new()?, chain, dir })
    }

    pub(crate) fn reopen(self, options: Options) -> Outcome<Self> {
        let Self { runtime, chain, dir } = self;
        drop(chain);
        let chain = DevChain::open_with(dir.path(), Arc::new(SystemClock), options)?;
        Ok(Self { runtime, chain, dir })
    }

    pub(crate) fn bytes(&self) -> Outcome<u64> {
        let size = |name| std::fs::metadata(self.dir.path().join(name)).map(|data| data.len());
        Ok(size("chain.redb")? + size("state.redb")?)
    }
}

impl Target for InProcess {
    fn post(&mut self, body: &str) -> Outcome<Vec<u8>> {
        Ok(self.runtime.block_on(self.chain.handle_bytes(body.as_bytes())))
    }
}

/// This chain behind its HTTP endpoint.
pub(crate) struct HttpChain {
    _runtime: Runtime,
    _dir: TempDir,
    client: HttpClient,
}

impl HttpChain {
    pub(crate) fn start() -> Outcome<Self> {
        let InProcess { runtime, chain, dir } = InProcess::start()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move { chain.serve(listener).await });
        Ok(Self { _runtime: runtime, _dir: dir, client: HttpClient::connect(port)? })
    }
}

impl Target for HttpChain {
    fn post(&mut self, body: &str) -> Outcome<Vec<u8>> {
        self.client.post(body)
    }
}

/// Foundry's development chain, which keeps everything in memory.
pub(crate) struct Anvil {
    process: Child,
    client: HttpClient,
}

impl Anvil {
    const PORT: u16 = 28_545;

    pub(crate) fn start() -> Outcome<Self> {
        let binary = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
        );
        let mut process = Command::new(binary)
            .args(["--silent", "--port", &Self::PORT.to_string(), "--gas-limit", "30000000"])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("anvil: {error} (hint: npm ci in contracts/)"))?;
        let start = Instant::now();
        loop {
            match HttpClient::connect(Self::PORT) {
                Ok(client) => return Ok(Self { process, client }),
                Err(error) if start.elapsed().as_secs() > 20 => {
                    process.kill()?;
                    return Err(error);
                }
                Err(_) => std::thread::yield_now(),
            }
        }
    }
}

impl Target for Anvil {
    fn post(&mut self, body: &str) -> Outcome<Vec<u8>> {
        self.client.post(body)
    }

    /// Mined as one block on request: faster for anvil than its default of a block for each.
    fn send_group(&mut self, group: &[String]) -> Outcome {
        self.request("evm_setAutomine", "[false]")?;
        let calls: Vec<String> = group.iter().map(|raw| send(raw)).collect();
        let answer = self.post(&format!("[{}]", calls.join(",")))?;
        let answers: Vec<Value> = serde_json::from_slice(&answer)?;
        answers.iter().try_for_each(|answer| result(answer).map(drop))?;
        self.request("evm_mine", "[]")?;
        self.request("evm_setAutomine", "[true]").map(drop)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// HTTP/1.1 over one kept connection: as little client as possible, the same for all.
struct HttpClient(BufReader<TcpStream>);

impl HttpClient {
    fn connect(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    fn post(&mut self, body: &str) -> Outcome<Vec<u8>> {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the server closed the connection".into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut answer = vec![0; length.ok_or("no content-length")?];
        self.0.read_exact(&mut answer)?;
        Ok(answer)
    }
}
