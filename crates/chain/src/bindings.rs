//! Bindings generated from the committed contract artifacts.

#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::too_many_arguments,
    reason = "generated from the ABI; the Solidity interfaces hold the documentation"
)]

use alloy::sol;
use alloy_sol_types::SolValue;

use crate::ChainError;

sol!(
    #[sol(rpc, all_derives)]
    IRegistry,
    "../../contracts/out-abi/Registry.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IChallenges,
    "../../contracts/out-abi/Challenges.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IPayouts,
    "../../contracts/out-abi/Payouts.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IPayoutVault,
    "../../contracts/out-abi/PayoutVault.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IZk,
    "../../contracts/out-abi/Zk.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IZkOpening,
    "../../contracts/out-abi/ZkOpening.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IZkKeys,
    "../../contracts/out-abi/ZkKeys.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IInferences,
    "../../contracts/out-abi/Inferences.json"
);
sol!(
    #[sol(rpc, all_derives)]
    Token,
    "../../contracts/out-abi/DevToken.json"
);

/// Turns a struct of one binding into the same struct of another: each contract's artifact brings
/// its own Rust types for the shared Solidity structs.
pub fn convert<A: SolValue, B>(value: &A) -> Result<B, ChainError>
where
    B: SolValue + From<<B::SolType as alloy_sol_types::SolType>::RustType>,
{
    B::abi_decode(&value.abi_encode())
        .map_err(|error| ChainError::Inconsistent(format!("struct layouts differ: {error}")))
}
