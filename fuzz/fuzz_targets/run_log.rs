//! Any bytes are a run's log up to some entry; and what is read as one is the chain that was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_core::statement::Statement;
use probity_provenance::{
    command::Provenance,
    run_log::{Event, RunMark, Writer, read, texts},
};

fuzz_target!(|bytes: &[u8]| {
    let run = Default::default();
    read(run, bytes);
    if let Ok(statement) = serde_json::from_slice::<Statement>(bytes)
        && let Ok(said) = Provenance::of(&statement)
    {
        (said.author(), said.log());
    }
    let mut writer = Writer::new(run);
    let mut log = writer.append(1, Event::Started).expect("an entry");
    for line in bytes.split(|byte| *byte == b'\n') {
        for text in texts(line) {
            log.extend(writer.append(1, Event::Stdout(text)).expect("an entry"));
        }
    }
    let (entries, head) = writer.head();
    let (again, problem) = read(run, &log);
    assert_eq!((problem, again.entries(), again.head()), (None, entries, head));
    let author = Default::default();
    assert!(again.has(&RunMark { author, run, entries, head, time: 1 }));
});
