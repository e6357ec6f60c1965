//! Labelled samples as lines of comma-separated integers.

/// Media type of a sample's bytes (RFC 4180, one line, no header).
pub const SAMPLE_MEDIA_TYPE: &str = "text/csv";

/// Longest line read, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Features and a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Feature values, 0 to 255.
    pub features: Vec<u8>,
    /// Class.
    pub label: u8,
}

/// Why a line is not a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// Longer than any sample.
    #[error("a line of {0} bytes is over the limit of {MAX_LINE}")]
    TooLong(usize),
    /// No feature and label.
    #[error("expected at least one feature and a label, got `{0}` values")]
    TooFew(usize),
    /// Not an integer from 0 to 255.
    #[error("value {position} is `{value}`, expected an integer from 0 to 255")]
    Value {
        /// Which value, from 1.
        position: usize,
        /// Its text, shortened.
        value: String,
    },
}

impl Sample {
    /// Parses `feature,...,feature,label`.
    ///
    /// ```
    /// let sample = probity_compute::Sample::parse("0,16,3").unwrap();
    /// assert_eq!((sample.features, sample.label), (vec![0, 16], 3));
    /// ```
    pub fn parse(line: &str) -> Result<Self, SampleError> {
        if line.len() > MAX_LINE {
            return Err(SampleError::TooLong(line.len()));
        }
        let parse = |(index, text): (usize, &str)| {
            text.trim().parse::<u8>().map_err(|_| SampleError::Value {
                position: index + 1,
                value: text.chars().take(20).collect(),
            })
        };
        let mut features = line.split(',').enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        let count = features.len();
        match features.pop() {
            Some(label) if count > 1 => Ok(Self { features, label }),
            _ => Err(SampleError::TooFew(count)),
        }
    }
}
