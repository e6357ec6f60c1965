//! Inputs of models, with or without labels, as JSON or CSV.

use serde_json::Value;

/// Why bytes are not samples.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// Neither.
    #[error("expected JSON or CSV")]
    Format,
    /// JSON that does not parse.
    #[error("malformed JSON")]
    Json(#[from] serde_json::Error),
    /// Nothing in it.
    #[error("expected at least one row")]
    Empty,
    /// A row of another length.
    #[error("row {row}: expected `{expected}` values, got `{got}`")]
    Length {
        /// From 1.
        row: usize,
        /// The model's input.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// A value that is none.
    #[error("row {row}: `{value}` is not a finite number")]
    Number {
        /// From 1.
        row: usize,
        /// What there is.
        value: String,
    },
    /// Labels of another number, or that are none.
    #[error("expected a label, a whole number from 0, for each of `{rows}` rows")]
    Labels {
        /// How many inputs there are.
        rows: usize,
    },
}

/// Inputs, one per row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// The inputs' values.
    pub rows: Vec<Vec<f32>>,
    /// The class of each, if known.
    pub labels: Option<Vec<usize>>,
}

impl Samples {
    /// Reads samples of `width` values: JSON `[[…], …]`, `{"input_data": [[…], …]}` (EZKL's layout)
    /// or `{"x": [[…], …], "y": […]}`, where rows may nest; or CSV, a label last or not.
    pub fn parse(bytes: &[u8], width: usize) -> Result<Self, SamplesError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SamplesError::Format)?;
        let samples = match text.trim_start().chars().next() {
            None => return Err(SamplesError::Empty),
            Some('[' | '{') => json(&serde_json::from_str(text)?, width)?,
            Some(_) => csv(text, width)?,
        };
        if samples.rows.is_empty() { Err(SamplesError::Empty) } else { Ok(samples) }
    }
}

fn json(value: &Value, width: usize) -> Result<Samples, SamplesError> {
    let rows = ["input_data", "x"].iter().find_map(|name| value.get(name)).unwrap_or(value);
    let mut samples = Samples::default();
    for (index, row) in rows.as_array().ok_or(SamplesError::Format)?.iter().enumerate() {
        let mut values = vec![];
        flatten(row, index + 1, &mut values)?;
        // EZKL's layout has all inputs in one row.
        if values.is_empty() || width == 0 || !values.len().is_multiple_of(width) {
            let (row, expected, got) = (index + 1, width, values.len());
            return Err(SamplesError::Length { row, expected, got });
        }
        samples.rows.extend(values.chunks(width).map(<[f32]>::to_vec));
    }
    if let Some(labels) = value.get("y") {
        let wrong = || SamplesError::Labels { rows: samples.rows.len() };
        let label = |label: &Value| {
            let label = label.as_array().and_then(|one| one.first()).unwrap_or(label);
            usize::try_from(label.as_u64()?).ok()
        };
        let labels = labels.as_array().ok_or_else(wrong)?.iter().map(label);
        let labels: Vec<usize> = labels.collect::<Option<_>>().ok_or_else(wrong)?;
        if labels.len() != samples.rows.len() {
            return Err(wrong());
        }
        samples.labels = Some(labels);
    }
    Ok(samples)
}

fn flatten(value: &Value, row: usize, values: &mut Vec<f32>) -> Result<(), SamplesError> {
    if let Some(inner) = value.as_array() {
        return inner.iter().try_for_each(|value| flatten(value, row, values));
    }
    #[expect(clippy::cast_possible_truncation, reason = "models are of f32")]
    let number = value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    values.push(number.ok_or_else(|| SamplesError::Number { row, value: value.to_string() })?);
    Ok(())
}

fn csv(text: &str, width: usize) -> Result<Samples, SamplesError> {
    let (mut rows, mut labels) = (vec![], vec![]);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (index, line) in lines {
        let number = |field: &str| {
            let number = field.trim().parse().ok().filter(|number: &f32| number.is_finite());
            number.ok_or_else(|| SamplesError::Number { row: index + 1, value: field.to_owned() })
        };
        let mut values: Vec<f32> = line.split(',').map(number).collect::<Result<_, _>>()?;
        if values.len() == width + 1 {
            values.pop();
            let label = line.rsplit(',').next().and_then(|label| label.trim().parse().ok());
            labels.push(label.ok_or(SamplesError::Labels { rows: rows.len() + 1 })?);
        }
        if values.len() != width {
            let (row, got) = (index + 1, values.len());
            return Err(SamplesError::Length { row, expected: width, got });
        }
        rows.push(values);
    }
    if !labels.is_empty() && labels.len() != rows.len() {
        return Err(SamplesError::Labels { rows: rows.len() });
    }
    Ok(Samples { rows, labels: (!labels.is_empty()).then_some(labels) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

    use super::*;

    fn parse(text: &str) -> Result<Samples, String> {
        Samples::parse(text.as_bytes(), 2).map_err(|error| error.to_string())
    }

    #[test]
    fn every_layout_gives_the_same_rows() {
        let rows = vec![vec![1.0, -2.5], vec![0.0, 3.0]];
        for text in [
            "[[1, -2.5], [0, 3]]",
            "[[[[1], [-2.5]]], [[[0], [3]]]]",
            "{\"input_data\": [[1, -2.5, 0, 3]]}",
            "1,-2.5\n\n0, 3\n",
        ] {
            assert_eq!(parse(text), Ok(Samples { rows: rows.clone(), labels: None }), "{text}");
        }
        for text in ["{\"x\": [[1, -2.5], [0, 3]], \"y\": [[7], 0]}", "1,-2.5,7\n0,3,0\n"] {
            let labels = Some(vec![7, 0]);
            assert_eq!(parse(text), Ok(Samples { rows: rows.clone(), labels }), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "at least one row"),
            ("[]", "at least one row"),
            ("[[1, 2], [3]]", "row 2: expected `2` values, got `1`"),
            ("[[]]", "row 1: expected `2` values, got `0`"),
            ("[[1, \"x\"]]", "row 1: `\"x\"` is not"),
            ("[[1, 1e60]]", "is not a finite number"),
            ("{\"z\": 1}", "expected JSON or CSV"),
            ("[[1, 2]", "malformed JSON"),
            ("{\"x\": [[1, 2]], \"y\": [1, 2]}", "for each of `1` rows"),
            ("{\"x\": [[1, 2]], \"y\": [-1]}", "for each of `1` rows"),
            ("1,2\n3\n", "row 2: expected `2` values, got `1`"),
            ("1,nan\n", "row 1: `nan` is not"),
            ("1,2,x\n", "row 1: `x` is not"),
            ("1,2,0.5\n", "a whole number from 0"),
            ("1,2,3\n1,2\n", "for each of `2` rows"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(Samples::parse(&[0xff, b','], 2).is_err());
    }
}
