//! The typed data of the contracts (EIP-712): a record's id is its struct hash, and a signature
//! is over the struct hash under a domain that names chain and contract.
//!
//! The fields are described in `contracts/src/interfaces/IRegistry.sol`.

#![allow(missing_docs, reason = "the Solidity interface documents the fields of these structs")]

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};

sol! {
    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Court {
        address[] arbiters;
        uint8 threshold;
        address bondToken;
        uint96 bond;
        uint32 responseWindow;
        uint32 rulingWindow;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Content {
        bytes32 digest;
        bytes32 licence;
        bytes32 statement;
        bytes32 supersedes;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct OptOut {
        bytes32 digest;
        bytes32 scope;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Licence {
        bytes32 terms;
        string spdx;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Dataset {
        bytes32 root;
        uint64 items;
        uint64 totalWeight;
        bytes32 manifest;
        bytes32 previous;
        address treasury;
        uint16 treasuryBps;
        Court court;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct DatasetItem {
        uint64 index;
        bytes32 content;
        uint64 weight;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Run {
        bytes32 dataset;
        bytes32 commitment;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Model {
        bytes32 name;
        address accountant;
        uint16 dataBps;
        Court court;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Checkpoint {
        bytes32 model;
        bytes32 digest;
        bytes32 dataset;
        bytes32 run;
        bytes32[] parents;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct ModelKey {
        bytes32 checkpoint;
        bytes32 key;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Anchor {
        bytes32 subject;
        bytes32 root;
        uint64 size;
        bytes32 statement;
        address author;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Ruling {
        bytes32 id;
        bool upheld;
        bytes32 opinion;
    }

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct PayoutRuling {
        bytes32 model;
        address token;
        uint64 epoch;
        bytes32 root;
        bytes32 otherRoot;
        uint48 deadline;
        bool upheld;
        bytes32 opinion;
    }
}

/// The contract whose typed data is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    Registry,
    Challenges,
    Payouts,
}

impl Contract {
    /// The EIP-712 domain of this contract at `address` on chain `chain_id`.
    pub fn domain(self, chain_id: u64, address: Address) -> Eip712Domain {
        let name = match self {
            Self::Registry => "Probity Registry",
            Self::Challenges => "Probity Challenges",
            Self::Payouts => "Probity Payouts",
        };
        Eip712Domain::new(
            Some(name.into()),
            Some("1".into()),
            Some(alloy_primitives::U256::from(chain_id)),
            Some(address),
            None,
        )
    }
}

/// The id of a record: its EIP-712 struct hash, the same on every chain.
pub fn record_id<S: SolStruct>(record: &S) -> B256 {
    record.eip712_hash_struct()
}

/// What the author of a record signs for one chain and contract.
pub fn signing_hash<S: SolStruct>(record: &S, domain: &Eip712Domain) -> B256 {
    record.eip712_signing_hash(domain)
}

impl DatasetItem {
    /// The item's leaf in the dataset's tree.
    pub fn leaf(&self) -> B256 {
        crate::merkle::leaf(&(self.index, self.content, self.weight))
    }
}
