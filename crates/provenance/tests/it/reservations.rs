//! Reservations of any bytes, and how they are combined.

use probity_core::{Digest, licence::Permission};
use probity_provenance::reservation::{
    Decisions, Standard, Statement, Use, aipref, cawg, publication, robots, tdmrep,
};
use proptest::prelude::*;

const USES: [Use; 5] =
    [Use::AiTraining, Use::AiGenerativeTraining, Use::AiInference, Use::DataMining, Use::Search];
const PERMISSIONS: [Permission; 3] = [Permission::Deny, Permission::Constrained, Permission::Allow];
const STANDARDS: [Standard; 3] = [Standard::Cawg, Standard::TdmRepFile, Standard::Aipref];

prop_compose! {
    fn statement()(
        usage in prop::sample::select(USES.to_vec()),
        permission in prop::sample::select(PERMISSIONS.to_vec()),
        standard in prop::sample::select(STANDARDS.to_vec()),
        evidence in 0u8..3,
        note in prop::option::of("[a-z]{1,3}"),
    ) -> Statement {
        let evidence = Digest::of(&[evidence]);
        Statement { usage, permission, standard, evidence, part: "part".to_owned(), note }
    }
}

fn strictness(permission: Permission) -> usize {
    PERMISSIONS.iter().position(|it| *it == permission).unwrap()
}

/// A pattern matches by trying every way: what `tdmrep` must agree with.
fn slow_match(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'$'] => path.is_empty(),
        [b'*', rest @ ..] => (0..=path.len()).any(|at| slow_match(rest, &path[at..])),
        [byte, rest @ ..] => path.first() == Some(byte) && slow_match(rest, &path[1..]),
    }
}

/// Any bytes, and mutated documents that mean something.
fn documents() -> impl Strategy<Value = Vec<u8>> {
    let seeds = prop::sample::select(vec![
        r#"[{"location": "/a*b$", "tdm-reservation": 1, "tdm-policy": "https://x"}]"#,
        "HTTP/1.1 200 OK\r\ntdm-reservation: 1\r\nContent-Usage: train-ai=n;a=1, search=y\r\n",
        "<html><!-- x --><script></script><meta name='tdm-reservation' content=1></html>",
        "<package prefix='a: http://www.w3.org/ns/tdmrep#'><meta property='a:reservation'>&#49;</meta>\
         <meta name='tdm:policy' content='&lt;'/></package>",
        "%PDF-1<?xpacket begin=''?><x:RDF xmlns:x='y' xmlns:t='http://www.w3.org/ns/tdmrep/' \
         t:policy='p'><t:reservation>1</t:reservation></x:RDF><?xpacket end='w'?>",
        "User-agent: *\nDisallow: /a\nContent-Usage: /a* train-ai=n, search=y # x\n",
        r#"{"label": "cawg.training-mining", "data": {"entries": {"cawg.ai_training":
            {"use": "constrained", "constraint_info": "x"}, "c2pa.data_mining": {"use": 1}}}}"#,
    ]);
    let mutated = (seeds, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6));
    let mutated = mutated.prop_map(|(seed, changes)| {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![mutated, prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in documents(), location in "/[a-b*$%0-9é]{0,8}") {
        let read = |bytes: &[u8]| [
            cawg::read(bytes),
            tdmrep::read(bytes, &location),
            aipref::read(bytes),
            robots::read(bytes, &location),
        ];
        let inner = publication::documents(&bytes).and_then(Result::ok).unwrap_or_default();
        let all = inner.iter().chain([&bytes]);
        let reads = all.flat_map(|bytes| read(bytes).map(|read| (bytes, read)));
        for (bytes, read) in reads.filter_map(|(bytes, read)| Some((bytes, read.ok()?))) {
            for statement in &read.statements {
                prop_assert_eq!(statement.evidence, Digest::of(bytes));
            }
            let json = serde_json::to_vec(&read.statements).unwrap();
            let again: Vec<Statement> = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(again, read.statements);
        }
    }

    #[test]
    fn the_most_restrictive_wins_in_any_order(
        statements in prop::collection::vec(statement(), 0..12),
        seed in any::<u64>(),
    ) {
        let decisions = Decisions::of(statements.clone());
        for usage in USES {
            let about: Vec<_> = statements.iter().filter(|it| it.usage == usage).collect();
            let strictest =
                about.iter().map(|it| it.permission).min_by_key(|it| strictness(*it));
            prop_assert_eq!(decisions.permission(usage), strictest);
            let overridden = about.iter().filter(|it| Some(it.permission) != strictest);
            let recorded: Vec<_> =
                decisions.conflicts.iter().filter(|it| it.looser.usage == usage).collect();
            prop_assert_eq!(recorded.len(), overridden.count());
            for conflict in recorded {
                prop_assert_eq!(Some(conflict.stricter.permission), strictest);
                prop_assert_eq!(conflict.stricter.usage, usage);
                prop_assert!(about.contains(&&conflict.stricter));
                prop_assert!(about.contains(&&conflict.looser));
            }
        }
        let mut shuffled = statements;
        let mut random = seed;
        for at in (1..shuffled.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(random >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(Decisions::of(shuffled), decisions);
    }

    #[test]
    fn adding_a_source_never_permits_more(
        statements in prop::collection::vec(statement(), 1..12),
        more in statement(),
    ) {
        let before = Decisions::of(statements.clone());
        let after = Decisions::of(statements.into_iter().chain([more]));
        for (usage, decision) in &before.uses {
            let now = after.permission(*usage).unwrap();
            prop_assert!(strictness(now) <= strictness(decision.permission));
        }
        prop_assert!(!before.reserve_training() || after.reserve_training());
    }

    #[test]
    fn patterns_match_as_by_trying_every_way(
        pattern in "/[ab*]{0,6}[$]?",
        path in "/[ab]{0,8}",
    ) {
        let file = serde_json::json!([{ "location": pattern, "tdm-reservation": 1 }]).to_string();
        let read = tdmrep::read(file.as_bytes(), &path).unwrap();
        let matched = slow_match(pattern.as_bytes(), path.as_bytes());
        prop_assert_eq!(!read.statements.is_empty(), matched);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let huge = vec![b' '; probity_provenance::reservation::MAX_BYTES + 1];
    for read in [cawg::read(&huge), tdmrep::read(&huge, "/"), aipref::read(&huge)] {
        assert!(read.unwrap_err().to_string().contains("limit"));
    }
    let rules = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert!(tdmrep::read(rules.as_bytes(), "/").unwrap_err().to_string().contains("10001"));
}
