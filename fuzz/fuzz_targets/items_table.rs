//! Any bytes are an items table or are refused, and what is read is written and read again.
#![no_main]

use std::{panic, sync::Once};

use libfuzzer_sys::fuzz_target;
use probity_provenance::table;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // The reader guards the library's panics; libFuzzer would end at each of them. It still ends at
    // one that comes out.
    QUIET.call_once(|| panic::set_hook(Box::new(|_| {})));
    let mut rows = vec![];
    if table::read(bytes.to_vec().into(), &mut |row| rows.push(row)).is_ok() {
        let mut written = vec![];
        table::write(rows.iter().cloned(), &mut written).expect("rows can be written");
        let mut again = vec![];
        table::read(written.into(), &mut |row| again.push(row)).expect("and read again");
        assert_eq!(again, rows);
    }
});
