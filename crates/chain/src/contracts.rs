//! Where the contracts are, and putting them there.

use alloy::sol_types::{SolConstructor, SolValue};
use alloy_primitives::{Address, B256, Bytes, address, keccak256};
use serde::{Deserialize, Serialize};

use crate::bindings::{
    IChallenges, IInferences, IPayoutVault, IPayouts, IRegistry, IZk, IZkKeys, IZkOpening, Token,
};

/// The deterministic deployment proxy: the same address on every EVM chain.
pub const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// The contracts' addresses, the same on every chain (CREATE2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// Records.
    pub registry: Address,
    /// Challenges and taint.
    pub challenges: Address,
    /// Revenue and payout roots.
    pub payouts: Address,
    /// Proofs of inference by registered models.
    pub inferences: Address,
    /// Keys of models, decoded.
    pub keys: Address,
}

/// A contract to be deployed: its address and init code.
pub(crate) struct Deployable {
    pub(crate) address: Address,
    init_code: Bytes,
}

impl Deployable {
    fn new(bytecode: &Bytes, arguments: &[u8]) -> Self {
        let init_code: Bytes = [bytecode.as_ref(), arguments].concat().into();
        let address = DEPLOYMENT_PROXY.create2(salt(), keccak256(&init_code));
        Self { address, init_code }
    }

    /// What the deployment proxy is called with.
    pub(crate) fn call_data(&self) -> Bytes {
        [salt().as_slice(), self.init_code.as_ref()].concat().into()
    }
}

fn salt() -> B256 {
    keccak256("probity.v1")
}

/// The contracts in order of deployment; each calls those before it.
pub(crate) fn deployables() -> [Deployable; 7] {
    let registry = Deployable::new(&IRegistry::BYTECODE, &[]);
    let arguments = IChallenges::constructorCall { registry_: registry.address }.abi_encode();
    let challenges = Deployable::new(&IChallenges::BYTECODE, &arguments);
    let arguments =
        IPayouts::constructorCall { registry_: registry.address, challenges_: challenges.address }
            .abi_encode();
    let payouts = Deployable::new(&IPayouts::BYTECODE, &arguments);
    let opening = Deployable::new(&IZkOpening::BYTECODE, &[]);
    let keys = Deployable::new(&IZkKeys::BYTECODE, &[]);
    let arguments =
        IZk::constructorCall { opening: opening.address, keys: keys.address }.abi_encode();
    let zk = Deployable::new(&IZk::BYTECODE, &arguments);
    let arguments =
        IInferences::constructorCall { registry_: registry.address, zk_: zk.address }.abi_encode();
    let inferences = Deployable::new(&IInferences::BYTECODE, &arguments);
    [registry, challenges, payouts, opening, keys, zk, inferences]
}

/// The worthless token for development.
pub(crate) fn dev_token() -> Deployable {
    Deployable::new(&Token::BYTECODE, &[])
}

impl Contracts {
    /// The addresses of those that hold state, in order: registry, challenges, payouts.
    pub fn stateful(&self) -> [Address; 3] {
        [self.registry, self.challenges, self.payouts]
    }

    /// Where the vault of a model's pool in a token is or will be.
    pub fn vault(&self, model: B256, token: Address) -> Address {
        let arguments = IPayoutVault::constructorCall { token_: token }.abi_encode();
        let init_code = [IPayoutVault::BYTECODE.as_ref(), &arguments].concat();
        let salt = keccak256((model, token).abi_encode());
        self.payouts.create2(salt, keccak256(init_code))
    }

    /// Where the contracts are or will be on any chain.
    pub fn deterministic() -> Self {
        let [registry, challenges, payouts, _, keys, _, inferences] = deployables();
        Self {
            registry: registry.address,
            challenges: challenges.address,
            payouts: payouts.address,
            inferences: inferences.address,
            keys: keys.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest that the contracts' own build writes.
    #[test]
    fn addresses_are_those_of_the_deployment_manifest() {
        let manifest = include_str!("../../../contracts/deployment.json").to_lowercase();
        let deployed = deployables().into_iter().chain([dev_token()]);
        for address in deployed.map(|deployable| deployable.address) {
            assert!(manifest.contains(&format!("{address:?}").to_lowercase()), "{address}");
        }
    }
}
