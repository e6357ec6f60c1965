//! The proof being written: each message is appended and exchanged.

use probity_zk::{
    PROOF_HEADER,
    curve::{G1Affine, encode_point},
    field::Fr,
    transcript::{Tag, Transcript},
};

/// What tests do to a message's values.
#[cfg(test)]
pub(crate) type Alteration = fn(&mut [Fr]);

/// Bytes of the proof so far, and the transcript.
#[derive(Debug)]
pub(crate) struct Outgoing {
    transcript: Transcript,
    bytes: Vec<u8>,
    /// Lets tests leave one message with data out of the transcript, counted from 0.
    #[cfg(test)]
    pub(crate) omit: Option<usize>,
    /// Lets tests change the values of the message with this tag, in the transcript too.
    #[cfg(test)]
    pub(crate) alter: Option<(Tag, Alteration)>,
    /// Lets tests send this point in place of the first one.
    #[cfg(test)]
    pub(crate) stray: Option<Vec<u8>>,
}

impl Outgoing {
    pub(crate) fn new(transcript: Transcript) -> Self {
        Self {
            transcript,
            bytes: PROOF_HEADER.to_vec(),
            #[cfg(test)]
            omit: None,
            #[cfg(test)]
            alter: None,
            #[cfg(test)]
            stray: None,
        }
    }

    fn send(&mut self, tag: Tag, data: &[u8]) -> Fr {
        self.bytes.extend_from_slice(data);
        #[cfg(test)]
        if !data.is_empty() && self.omit.is_some() {
            let left = self.omit.and_then(|left| left.checked_sub(1));
            if std::mem::replace(&mut self.omit, left).is_some() && left.is_none() {
                return self.transcript.exchange(tag, &[]);
            }
        }
        self.transcript.exchange(tag, data)
    }

    pub(crate) fn scalars(&mut self, tag: Tag, values: &[Fr]) -> Fr {
        #[cfg(test)]
        let values = &match self.alter {
            Some((altered, change)) if altered == tag => {
                let mut values = values.to_vec();
                change(&mut values);
                values
            }
            _ => values.to_vec(),
        };
        let data: Vec<u8> = values.iter().flat_map(Fr::to_bytes_be).collect();
        self.send(tag, &data)
    }

    pub(crate) fn points(&mut self, tag: Tag, points: &[G1Affine]) -> Fr {
        #[cfg_attr(not(test), expect(unused_mut, reason = "only tests change it"))]
        let mut data: Vec<u8> = points.iter().flat_map(encode_point).collect();
        #[cfg(test)]
        if let Some(stray) = self.stray.take() {
            data[..stray.len()].copy_from_slice(&stray);
        }
        self.send(tag, &data)
    }

    pub(crate) fn challenge(&mut self, tag: Tag) -> Fr {
        self.send(tag, &[])
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
