//! Constants made of constants, and of shapes: exporters compute these where a batch may have any size.

use super::{
    nodes::{Context, Read, attribute, integer},
    proto::NodeProto,
    tensor::{self, Constant, FLOAT, INT32, INT64},
};

/// Whole numbers in a float without loss.
const EXACT: f32 = 16_777_216.0;
/// Most numbers that are made: lists about shapes are short.
const MOST: usize = 1024;
const MOST_DIMENSIONS: usize = 8;

impl Context {
    /// Dimensions of a value; its batch is one.
    pub(super) fn dimensions(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let sizes = value.shape.iter().map(|size| i64::from(*size));
        let sizes: Vec<i64> = [1].into_iter().chain(sizes).collect();
        let (start, end) = (integer(node, "start", 0), integer(node, "end", i64::MAX));
        self.define(node, list(part(&sizes, start, end)))
    }

    /// Whether a node made a constant of constants alone.
    pub(super) fn computed(&mut self, node: &NodeProto, operator: &str) -> Read<bool> {
        let inputs = node.input.iter().map(|name| self.constants.get(name));
        let inputs: Option<Vec<&Constant>> = inputs.collect();
        let made = inputs.and_then(|inputs| compute(node, operator, &inputs));
        made.map_or(Ok(false), |made| self.define(node, made).map(|()| true))
    }
}

fn integers(shape: Vec<usize>, values: Vec<i64>) -> Constant {
    Constant::Integers { shape, values, least: i64::MIN }
}

fn list(values: Vec<i64>) -> Constant {
    integers(vec![values.len()], values)
}

fn compute(node: &NodeProto, operator: &str, inputs: &[&Constant]) -> Option<Constant> {
    match (operator, inputs) {
        ("Concat", inputs) => {
            let lists: Option<Vec<&[i64]>> = inputs.iter().map(|input| listed(input)).collect();
            let lists = lists.filter(|lists| !lists.is_empty())?;
            let count = lists.iter().map(|list| list.len()).try_fold(0usize, usize::checked_add)?;
            (count <= MOST).then(|| list(lists.concat()))
        }
        ("ConstantOfShape", [sizes]) => {
            let sizes = listed(sizes)?.iter().map(|size| usize::try_from(*size).ok());
            let sizes: Vec<usize> = sizes.collect::<Option<_>>()?;
            let count = sizes.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
            let value = attribute(node, "value").and_then(|a| tensor::read(a.t.clone()?).ok());
            let Some(Constant::Integers { values, .. }) = value else { return None };
            let count = count.filter(|count| *count <= MOST)?;
            Some(integers(sizes, vec![*values.first()?; count]))
        }
        ("Gather", [data, Constant::Integers { shape, values: places, .. }]) => {
            let data = listed(data)?;
            let at = |place: &i64| data.get(from_behind(*place, data.len())?).copied();
            Some(integers(shape.clone(), places.iter().map(at).collect::<Option<_>>()?))
        }
        ("Reshape", [data, to]) => reshaped(data, resolve(listed(to)?, data.len())?),
        ("Slice", [data, starts, ends, rest @ ..]) => {
            let (start, end) = (one(starts)?, one(ends)?);
            let axis = rest.first().map_or(Some(0), |axes| one(axes))?;
            let step = rest.get(1).map_or(Some(1), |steps| one(steps))?;
            slice(data, axis, (start, end, step))
        }
        ("Squeeze", [data]) => {
            let shape = data.shape().iter().copied().filter(|size| *size != 1).collect();
            reshaped(data, shape)
        }
        ("Squeeze" | "Unsqueeze", [data, axes]) => {
            reshaped(data, ones(operator, data.shape(), listed(axes)?)?)
        }
        ("Transpose", [Constant::Integers { shape, values, .. }]) => {
            let &[rows, columns] = shape.as_slice() else { return None };
            let order = attribute(node, "perm").map_or(&[1, 0][..], |perm| perm.ints.as_slice());
            let turned = (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c));
            let values = turned.map(|place| values.get(place).copied()).collect::<Option<_>>()?;
            (order == [1, 0]).then(|| integers(vec![columns, rows], values))
        }
        ("Cast", [input]) => cast(input, attribute(node, "to")?.i),
        ("Add" | "Sub" | "Mul" | "Div" | "Pow", [a, b]) => arithmetic(operator, a, b),
        ("Sqrt", [Constant::Floats { shape, values }]) => {
            let values = values.iter().map(|x| x.sqrt()).collect();
            Some(Constant::Floats { shape: shape.clone(), values }).filter(Constant::is_finite)
        }
        _ => None,
    }
}

/// The same numbers in another shape.
fn reshaped(constant: &Constant, shape: Vec<usize>) -> Option<Constant> {
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size))?;
    if count != constant.len() || shape.len() > MOST_DIMENSIONS {
        return None;
    }
    let mut constant = constant.clone();
    let (Constant::Floats { shape: own, .. } | Constant::Integers { shape: own, .. }) =
        &mut constant;
    *own = shape;
    Some(constant)
}

/// A shape of so many numbers, one size of which may be -1.
fn resolve(to: &[i64], count: usize) -> Option<Vec<usize>> {
    let known = to.iter().filter(|size| **size != -1);
    let known = known
        .map(|size| usize::try_from(*size).ok())
        .try_fold(1usize, |all, size| all.checked_mul(size?))?;
    let left = count.checked_div(known)?;
    if to.iter().filter(|size| **size == -1).count() > 1 {
        return None;
    }
    to.iter()
        .map(|size| if *size == -1 { Some(left) } else { usize::try_from(*size).ok() })
        .collect()
}

/// A shape with ones put in or taken out.
pub(super) fn ones(operator: &str, shape: &[usize], axes: &[i64]) -> Option<Vec<usize>> {
    let (mut shape, more) = (shape.to_vec(), operator == "Unsqueeze");
    if axes.len() > MOST_DIMENSIONS {
        return None;
    }
    let rank = shape.len() + if more { axes.len() } else { 0 };
    let places = axes.iter().map(|axis| from_behind(*axis, rank).filter(|place| *place < rank));
    let mut places: Vec<usize> = places.collect::<Option<_>>()?;
    places.sort_unstable();
    if places.windows(2).any(|two| two[0] == two[1]) {
        return None;
    }
    if more {
        for place in places {
            shape.insert(place, 1);
        }
        return Some(shape);
    }
    for place in places.into_iter().rev() {
        if shape.remove(place) != 1 {
            return None;
        }
    }
    Some(shape)
}

/// Whole numbers in a row.
pub(super) fn listed(constant: &Constant) -> Option<&[i64]> {
    match constant {
        Constant::Integers { shape, values, .. } if shape.len() == 1 => Some(values),
        _ => None,
    }
}

/// One whole number in a row.
fn one(constant: &Constant) -> Option<i64> {
    match listed(constant)? {
        [number] => Some(*number),
        _ => None,
    }
}

/// A place counted from the end where it is below zero.
pub(super) fn from_behind(place: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if place < 0 { place.checked_add(length)? } else { place }).ok()
}

/// From one place to before another, as far as there are any.
fn part(values: &[i64], start: i64, end: i64) -> Vec<i64> {
    let places = places(values.len(), (start, end, 1)).into_iter();
    places.filter_map(|at| values.get(at).copied()).collect()
}

/// Places along a dimension, from one to before another by a step.
pub(super) fn places(length: usize, (start, end, step): (i64, i64, i64)) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let bounds = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |place: i64| {
        let place = if place < 0 { place.saturating_add(length) } else { place };
        place.clamp(bounds.0, bounds.1)
    };
    let (start, end) = (place(start), place(end));
    let within = |at: &i64| if step > 0 { *at < end } else { step < 0 && *at > end };
    let steps = std::iter::successors(Some(start), |at| at.checked_add(step)).take_while(within);
    steps.filter_map(|at| usize::try_from(at).ok()).collect()
}

fn slice(data: &Constant, axis: i64, range: (i64, i64, i64)) -> Option<Constant> {
    let Constant::Integers { shape, values, .. } = data else { return None };
    let axis = from_behind(axis, shape.len()).filter(|_| range.2 != 0)?;
    let (length, inner) = (*shape.get(axis)?, shape.get(axis + 1..)?.iter().product::<usize>());
    let places = places(length, range);
    let mut shape = shape.clone();
    *shape.get_mut(axis)? = places.len();
    let run = (length * inner).max(1);
    let runs = values.chunks(run).flat_map(|run| places.iter().map(move |at| (run, at)));
    let values: Option<Vec<&[i64]>> =
        runs.map(|(run, at)| run.get(at * inner..(at + 1) * inner)).collect();
    Some(integers(shape, values?.concat()))
}

fn cast(input: &Constant, to: i64) -> Option<Constant> {
    let is = |kind: i32| to == i64::from(kind);
    match input {
        Constant::Integers { .. } if is(INT64) || is(INT32) => Some(input.clone()),
        Constant::Floats { .. } if is(FLOAT) => Some(input.clone()),
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        Constant::Integers { shape, values, .. } if is(FLOAT) => {
            let values = values.iter().map(|x| *x as f32).collect();
            Some(Constant::Floats { shape: shape.clone(), values })
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
        Constant::Floats { shape, values } if is(INT64) || is(INT32) => {
            let whole = |x: &f32| (x.abs() < EXACT).then_some(x.trunc() as i64);
            let values = values.iter().map(whole).collect::<Option<_>>()?;
            Some(integers(shape.clone(), values))
        }
        _ => None,
    }
}

/// Number by number; one number goes with many.
fn arithmetic(operator: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    match (a, b) {
        (
            Constant::Integers { shape, values, .. },
            Constant::Integers { shape: s, values: v, .. },
        ) => {
            let (shape, values) = joined((shape, values), (s, v), |a, b| match operator {
                "Add" => i64::checked_add(a, b),
                "Sub" => i64::checked_sub(a, b),
                "Mul" => i64::checked_mul(a, b),
                "Div" => i64::checked_div(a, b),
                _ => None,
            })?;
            Some(integers(shape, values))
        }
        (Constant::Floats { shape, values }, Constant::Floats { shape: s, values: v }) => {
            let (shape, values) = joined((shape, values), (s, v), |a: f32, b| {
                let result = match operator {
                    "Add" => a + b,
                    "Sub" => a - b,
                    "Mul" => a * b,
                    "Div" => a / b,
                    _ => libm::powf(a, b),
                };
                Some(result).filter(|x| x.is_finite())
            })?;
            Some(Constant::Floats { shape, values })
        }
        _ => None,
    }
}

fn joined<T: Copy>(
    (shape, a): (&[usize], &[T]),
    (other, b): (&[usize], &[T]),
    join: impl Fn(T, T) -> Option<T>,
) -> Option<(Vec<usize>, Vec<T>)> {
    let shape = match (a.len(), b.len()) {
        _ if shape == other => shape,
        (_, 1) if shape.len() >= other.len() => shape,
        (1, _) if other.len() >= shape.len() => other,
        _ => return None,
    };
    let (count, at) =
        (a.len().max(b.len()), |of: &[T], i: usize| of.get(i % of.len().max(1)).copied());
    let values = (0..count).map(|i| join(at(a, i)?, at(b, i)?)).collect::<Option<_>>()?;
    Some((shape.to_vec(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sliced(constant: &Constant, axis: i64, range: (i64, i64, i64)) -> Option<Vec<i64>> {
        match slice(constant, axis, range)? {
            Constant::Integers { values, .. } => Some(values),
            Constant::Floats { .. } => None,
        }
    }

    #[test]
    fn slices_go_forwards_and_backwards() {
        let row = list(vec![1, 2, 3, 4]);
        assert_eq!(sliced(&row, 0, (1, 3, 1)), Some(vec![2, 3]));
        assert_eq!(sliced(&row, 0, (-3, i64::MAX, 1)), Some(vec![2, 3, 4]));
        assert_eq!(sliced(&row, 0, (-1, i64::MIN + 1, -1)), Some(vec![4, 3, 2, 1]));
        assert_eq!(sliced(&row, -1, (i64::MAX, 1, -1)), Some(vec![4, 3]));
        assert_eq!(sliced(&row, 0, (3, 1, 1)), Some(vec![]));
        assert_eq!(sliced(&row, 0, (i64::MIN, i64::MIN, -1)), Some(vec![]));
        let square = integers(vec![2, 2], vec![1, 2, 3, 4]);
        assert_eq!(sliced(&square, 0, (-1, -9, -1)), Some(vec![3, 4, 1, 2]));
        assert_eq!(sliced(&square, 1, (1, 2, 1)), Some(vec![2, 4]));
        for axis in [2, -3, i64::MIN, i64::MAX] {
            assert_eq!(sliced(&square, axis, (0, 1, 1)), None, "{axis}");
        }
        for (step, expected) in [(2, vec![1, 3]), (i64::MAX, vec![1]), (i64::MIN, vec![])] {
            assert_eq!(sliced(&row, 0, (0, 4, step)), Some(expected), "{step}");
        }
        assert_eq!(sliced(&row, 0, (3, -9, -2)), Some(vec![4, 2]));
        assert_eq!(sliced(&row, 0, (3, 0, i64::MIN)), Some(vec![4]));
        let empty = list(vec![]);
        assert_eq!(sliced(&empty, 0, (0, 1, 1)), Some(vec![]));
        assert_eq!(sliced(&empty, 0, (-1, i64::MIN, -1)), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_computed_is_left() {
        let made = |operator: &str, inputs: &[Constant]| {
            compute(&NodeProto::default(), operator, &inputs.iter().collect::<Vec<_>>())
        };
        let (one, two) = (list(vec![6]), list(vec![i64::MAX, 2]));
        assert_eq!(made("Mul", &[two.clone(), one.clone()]), None);
        assert_eq!(made("Div", &[one.clone(), list(vec![0])]), None);
        assert_eq!(made("Div", &[list(vec![-7, 7]), list(vec![2])]), Some(list(vec![-3, 3])));
        assert_eq!(made("Add", &[list(vec![1, 2]), list(vec![1, 2, 3])]), None);
        assert_eq!(made("Concat", &[]), None);
        assert_eq!(made("Gather", &[two.clone(), list(vec![-3])]), None);
        assert_eq!(made("Gather", &[two.clone(), list(vec![-1])]), Some(list(vec![2])));
        assert_eq!(made("Gather", &[two.clone(), list(vec![i64::MIN])]), None);
        for to in [vec![3], vec![-1, 0], vec![-1; 2], vec![-1; 9], vec![i64::MAX, 2], vec![-2, -1]]
        {
            assert_eq!(made("Reshape", &[two.clone(), list(to.clone())]), None, "{to:?}");
        }
        let reshaped = made("Reshape", &[two.clone(), list(vec![-1, 1])]);
        assert_eq!(reshaped, Some(integers(vec![2, 1], vec![i64::MAX, 2])));
        let cube = integers(vec![1, 2, 1], vec![3, 4]);
        let with =
            |operator: &str, axes: &[i64]| made(operator, &[cube.clone(), list(axes.to_vec())]);
        let shape = |made: Option<Constant>| made.map(|made| made.shape().to_vec());
        assert_eq!(shape(with("Squeeze", &[0, -1])), Some(vec![2]));
        assert_eq!(shape(made("Squeeze", std::slice::from_ref(&cube))), Some(vec![2]));
        assert_eq!(shape(with("Unsqueeze", &[-1, 1])), Some(vec![1, 1, 2, 1, 1]));
        for (operator, axis) in
            [("Squeeze", 1), ("Squeeze", 3), ("Unsqueeze", 4), ("Unsqueeze", i64::MIN)]
        {
            assert_eq!(with(operator, &[axis]), None, "{operator} {axis}");
        }
        assert_eq!(with("Unsqueeze", &[3, 3]), None);
        assert_eq!(with("Squeeze", &[0, 0]), None);
        let root = |x: f32| Constant::Floats { shape: vec![], values: vec![x] };
        assert_eq!(made("Sqrt", &[root(16.0)]), Some(root(4.0)));
        assert_eq!(made("Sqrt", &[root(-1.0)]), None);
        assert_eq!(made("Div", &[root(1.0), root(0.0)]), None);
        assert_eq!(made("Pow", &[root(16.0), root(0.5)]), Some(root(4.0)));
        assert_eq!(made("Pow", &[one.clone(), one.clone()]), None);
        assert_eq!(cast(&root(1e9), INT64.into()), None);
        assert_eq!(cast(&root(-2.5), INT64.into()), Some(integers(vec![], vec![-2])));
        assert_eq!(
            cast(&one, FLOAT.into()),
            Some(Constant::Floats { shape: vec![1], values: vec![6.0] })
        );
    }
}
