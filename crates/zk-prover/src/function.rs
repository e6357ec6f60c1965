//! Functions of one number: what listed tables are made of.

use std::sync::Arc;

/// Most parts of a function: reading hostile files stays cheap.
const MAX_PARTS: usize = 256;

/// A function of the standard's, of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// The error function.
    Erf,
    /// Exponential.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
}

/// A function of one number, made of others.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// The number itself.
    Input,
    /// Always the same.
    Constant(f32),
    /// Sum of two.
    Sum(Arc<[Function; 2]>),
    /// Product of two.
    Product(Arc<[Function; 2]>),
    /// The first by the second.
    Quotient(Arc<[Function; 2]>),
    /// To a constant power.
    Power(Arc<Function>, f32),
    /// Cut off at a lower and an upper limit, either of which may be infinite.
    Within(Arc<Function>, f32, f32),
    /// One of the standard's.
    Of(Unary, Arc<Function>),
}

impl Function {
    /// Sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::Sum(Arc::new([self, other]))
    }

    /// Product of two.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self::Product(Arc::new([self, other]))
    }

    /// The first by the second.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self::Quotient(Arc::new([self, other]))
    }

    /// A function of this one.
    #[must_use]
    pub fn then(self, unary: Unary) -> Self {
        Self::Of(unary, Arc::new(self))
    }

    /// Times a constant.
    #[must_use]
    pub fn by(self, factor: f32) -> Self {
        self.times(Self::Constant(factor))
    }

    /// Plus a constant.
    #[must_use]
    pub fn and(self, more: f32) -> Self {
        self.plus(Self::Constant(more))
    }

    /// Cut off at two limits.
    #[must_use]
    pub fn within(self, low: f32, high: f32) -> Self {
        Self::Within(Arc::new(self), low, high)
    }

    /// `x · x`.
    pub fn square() -> Self {
        Self::Input.times(Self::Input)
    }

    /// Whether it is small enough to be computed often.
    pub fn is_small(&self) -> bool {
        self.parts(MAX_PARTS).is_some()
    }

    /// What is left of a number of parts.
    fn parts(&self, left: usize) -> Option<usize> {
        let left = left.checked_sub(1)?;
        match self {
            Self::Input | Self::Constant(_) => Some(left),
            Self::Sum(both) | Self::Product(both) | Self::Quotient(both) => {
                both[1].parts(both[0].parts(left)?)
            }
            Self::Power(inner, _) | Self::Within(inner, ..) | Self::Of(_, inner) => {
                inner.parts(left)
            }
        }
    }

    /// The value at `x`, by IEEE 754 and `libm` alone, so that everybody gets the same table.
    pub fn at(&self, x: f64) -> f64 {
        match self {
            Self::Input => x,
            Self::Constant(value) => f64::from(*value),
            Self::Sum(both) => both[0].at(x) + both[1].at(x),
            Self::Product(both) => both[0].at(x) * both[1].at(x),
            Self::Quotient(both) => both[0].at(x) / both[1].at(x),
            Self::Power(inner, exponent) => libm::pow(inner.at(x), f64::from(*exponent)),
            Self::Within(inner, low, high) => {
                inner.at(x).max(f64::from(*low)).min(f64::from(*high))
            }
            Self::Of(unary, inner) => {
                let x = inner.at(x);
                match unary {
                    Unary::Erf => libm::erf(x),
                    Unary::Exp => libm::exp(x),
                    Unary::Log => libm::log(x),
                    Unary::Sqrt => x.sqrt(),
                    Unary::Tanh => libm::tanh(x),
                    Unary::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
                }
            }
        }
    }
}

/// GELU, exact or by the hyperbolic tangent.
pub fn gelu(by_tanh: bool) -> Function {
    let x = || Function::Input;
    let inner = if by_tanh {
        let cube = Function::Power(Arc::new(x()), 3.0).times(Function::Constant(0.044_715));
        x().plus(cube).times(Function::Constant(0.797_884_6)).then(Unary::Tanh)
    } else {
        x().times(Function::Constant(std::f32::consts::FRAC_1_SQRT_2)).then(Unary::Erf)
    };
    x().times(inner.plus(Function::Constant(1.0))).times(Function::Constant(0.5))
}

/// What is above zero.
fn positive() -> Function {
    Function::Input.within(0.0, f32::INFINITY)
}

/// What is below zero.
fn negative() -> Function {
    Function::Input.within(f32::NEG_INFINITY, 0.0)
}

/// Magnitude.
pub fn magnitude() -> Function {
    positive().plus(negative().by(-1.0))
}

/// `gamma x` above zero, `gamma alpha (exp(x / width) − 1)` below.
pub fn elu(alpha: f32, gamma: f32, width: f32) -> Function {
    let below = negative().by(1.0 / width).then(Unary::Exp).and(-1.0);
    positive().plus(below.by(alpha)).by(gamma)
}

/// `ln(1 + exp x)`.
pub fn softplus() -> Function {
    positive().plus(magnitude().by(-1.0).then(Unary::Exp).and(1.0).then(Unary::Log))
}

/// `x / (1 + |x|)`.
pub fn softsign() -> Function {
    Function::Input.over(magnitude().and(1.0))
}

/// `x tanh softplus x`.
pub fn mish() -> Function {
    Function::Input.times(softplus().then(Unary::Tanh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_what_they_say() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} {b}");
        for (x, y) in [(0.0, 0.0), (1.0, 0.841_345), (-1.0, -0.158_655), (3.0, 2.995_950)] {
            near(gelu(false).at(x), y);
            near(gelu(true).at(x), y);
        }
        let inverse_root = Function::Constant(1.0).over(Function::Input.then(Unary::Sqrt));
        near(inverse_root.at(4.0), 0.5);
        near(Function::Power(Arc::new(Function::Input), -0.5).at(4.0), 0.5);
        near(Function::Input.times(Function::Input.then(Unary::Sigmoid)).at(2.0), 1.761_594);
        for (function, below, above) in [
            (magnitude(), 2.0, 3.0),
            (elu(1.0, 1.0, 1.0), -0.864_665, 3.0),
            (elu(1.673_263, 1.050_701, 1.0), -1.520_166, 3.152_103),
            (elu(2.0, 1.0, 2.0), -1.264_241, 3.0),
            (softplus(), 0.126_928, 3.048_587),
            (softsign(), -0.666_667, 0.75),
            (mish(), -0.252_501, 2.986_535),
            (Function::Input.within(-1.5, 2.5), -1.5, 2.5),
            (Function::Input.within(f32::MIN, f32::MAX), -2.0, 3.0),
        ] {
            near(function.at(-2.0), below);
            near(function.at(3.0), above);
        }
        assert_eq!(softplus().at(800.0).to_bits(), 800f64.to_bits());
    }

    #[test]
    fn doubling_again_and_again_is_refused() {
        let mut function = Function::Input;
        for _ in 0..60 {
            function = function.clone().times(function);
        }
        assert!(!function.is_small());
        assert!(gelu(true).is_small());
    }
}
