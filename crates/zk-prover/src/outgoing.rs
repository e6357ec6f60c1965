//! The proof being written: each message is appended and exchanged.

use ff::Field;
use probity_zk::{
    Stage,
    curve::{G1Affine, encode_point},
    field::Fr,
    proof_header,
    transcript::{Coins, Tag, Transcript},
};

use crate::masks::Secret;

/// Bytes of a proof before its messages.
const HEADER: usize = 5;

/// What tests do to a message's values.
#[cfg(test)]
pub(crate) type Alteration = fn(&mut [Fr]);

/// Challenges that are known already; zero after the last.
#[derive(Debug, Clone)]
pub(crate) struct Recorded(std::vec::IntoIter<Fr>);

impl Recorded {
    pub(crate) fn new(answers: Vec<Fr>) -> Self {
        Self(answers.into_iter())
    }
}

impl Coins for Recorded {
    fn exchange(&mut self, _: Tag, _: &[u8]) -> Fr {
        self.0.next().unwrap_or(Fr::ZERO)
    }
}

/// Bytes of the proof so far, and the transcript.
#[derive(Debug)]
pub(crate) struct Outgoing {
    transcript: Transcript,
    bytes: Vec<u8>,
    /// What is added to the scalars of a hiding proof, and how many of them are used.
    pads: Option<(Secret, usize)>,
    /// The challenges so far.
    answers: Vec<Fr>,
    /// Lets tests leave one message with data out of the transcript, counted from 0.
    #[cfg(test)]
    pub(crate) omit: Option<usize>,
    /// Lets tests change the values of the message with this tag, in the transcript too.
    #[cfg(test)]
    pub(crate) alter: Option<(Tag, Alteration)>,
    /// Lets tests send this point in place of the first one.
    #[cfg(test)]
    pub(crate) stray: Option<Vec<u8>>,
    /// Lets tests answer in place of the transcript.
    #[cfg(test)]
    pub(crate) script: Option<Recorded>,
}

impl Outgoing {
    pub(crate) fn new(transcript: Transcript) -> Self {
        Self::start(transcript, proof_header(Stage::Succinct), None)
    }

    /// A proof whose scalars are masked. The first two pads are the products'.
    pub(crate) fn masked(header: [u8; HEADER], transcript: Transcript, pads: Secret) -> Self {
        Self::start(transcript, header, Some((pads, 2)))
    }

    fn start(transcript: Transcript, header: [u8; HEADER], pads: Option<(Secret, usize)>) -> Self {
        Self {
            transcript,
            bytes: header.to_vec(),
            pads,
            answers: vec![],
            #[cfg(test)]
            omit: None,
            #[cfg(test)]
            alter: None,
            #[cfg(test)]
            stray: None,
            #[cfg(test)]
            script: None,
        }
    }

    fn send(&mut self, tag: Tag, data: &[u8]) -> Fr {
        let answer = self.answer(tag, data);
        self.answers.push(answer);
        answer
    }

    fn answer(&mut self, tag: Tag, data: &[u8]) -> Fr {
        self.bytes.extend_from_slice(data);
        #[cfg(test)]
        if let Some(script) = &mut self.script {
            return script.exchange(tag, data);
        }
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
        let masked = values.iter().flat_map(|value| self.mask(tag, *value).to_bytes_be());
        let data: Vec<u8> = masked.collect();
        self.send(tag, &data)
    }

    /// Adds the next pad. A factor has two; the second is used later.
    fn mask(&mut self, tag: Tag, value: Fr) -> Fr {
        match &mut self.pads {
            Some((pads, next)) if tag.pads() > 0 => {
                let pad = pads[*next];
                *next += tag.pads();
                value + pad
            }
            _ => value,
        }
    }

    /// A hiding proof shows that two values are not zero by sending their inverses.
    pub(crate) fn nonzero(&mut self, values: [Fr; 2]) {
        if self.pads.is_some() {
            self.scalars(Tag::Inverses, &values.map(|v| v.invert().unwrap_or(Fr::ZERO)));
        }
    }

    /// The messages so far, without the header, and what answered them.
    pub(crate) fn so_far(&self) -> (&[u8], Recorded) {
        (self.bytes.get(HEADER..).unwrap_or_default(), Recorded::new(self.answers.clone()))
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

    /// Continues a conversation of which the messages so far are given.
    #[cfg(test)]
    pub(crate) fn scripted(messages: &[u8], script: Recorded) -> Self {
        let mut outgoing = Self::start(Transcript::hiding(), proof_header(Stage::Hiding), None);
        outgoing.bytes.extend_from_slice(messages);
        outgoing.script = Some(script);
        outgoing
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
