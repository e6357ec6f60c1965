//! `pool::Pool` against the payout vectors.

use alloy_primitives::B256;
use probity_core::money::Bps;
use probity_provenance::pool::{Event, Pool, PoolError, Rules, Taint};
use serde_json::Value;

const WINDOW: u64 = 10;

fn number(value: &Value) -> u128 {
    value.as_u64().map_or_else(|| value.as_str().unwrap().parse().unwrap(), u128::from)
}

fn bps(value: &Value) -> Bps {
    Bps::new(u16::try_from(number(value)).unwrap()).unwrap()
}

fn check(name: &str, pool: &Pool, expected: &Value) {
    let got = [pool.received, pool.funded, pool.accounted, pool.held, pool.epoch.into()];
    let want = ["received", "funded", "accounted", "held", "epoch"].map(|f| number(&expected[f]));
    assert_eq!(got, want, "{name}");
}

#[test]
fn pools_move_as_in_the_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/payout/v1/pools.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in file["cases"].as_array().unwrap() {
        run(case);
    }
}

fn run(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let (data, treasury) = (bps(&case["dataBps"]), bps(&case["treasuryBps"]));
    let rules = Rules { data, treasury, response_window: WINDOW, ruling_window: WINDOW };
    let total = |value: &Value| u64::try_from(number(&value["totalWeight"])).unwrap();
    let mut taint =
        Taint { head: B256::ZERO, tainted: false, removed: 0, total: total(&case["dataset"]) };
    let (mut pool, mut now) = (Pool::default(), 0);
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let name = format!("{name}, step {index}");
        let apply = |event| pool.apply(&rules, taint, now, event);
        match step["op"].as_str().unwrap() {
            "pay" => pool = apply(Event::Pay(number(&step["amount"]))).unwrap(),
            "propose" => {
                pool = apply(Event::Propose(B256::ZERO, number(&step["total"]))).unwrap();
                let held = pool.proposal.unwrap().held;
                assert_eq!(held, number(&step["held"]), "{name}");
            }
            "bad_propose" => {
                let refused = apply(Event::Propose(B256::ZERO, number(&step["total"])));
                assert!(matches!(refused, Err(PoolError::TotalInvalid { .. })), "{name}");
            }
            "accept" | "drop" => {
                assert_eq!(apply(Event::Settle), Err(PoolError::WindowOpen), "{name}");
                now += WINDOW + 1;
                pool = pool.apply(&rules, taint, now, Event::Settle).unwrap();
            }
            "remove" => {
                taint.removed += u64::try_from(number(&step["weight"])).unwrap();
                taint.tainted = true;
            }
            "head" => {
                let head = B256::with_last_byte(u8::try_from(index).unwrap());
                taint = Taint { head, tainted: false, removed: 0, total: total(step) };
            }
            other => panic!("unknown step {other}"),
        }
        check(&name, &pool, &step["pool"]);
    }
}
