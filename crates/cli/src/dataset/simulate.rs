//! `probity dataset simulate`.

use probity_node::simulate::{Fate, Figures, Setting, simulate};
use probity_provenance::dataset::Policy;

use crate::{args::Simulate, output, settings};

pub(super) fn run(args: &Simulate, json: bool) -> anyhow::Result<bool> {
    let policy: Policy =
        args.policy.as_deref().map(settings::toml).transpose()?.unwrap_or_default();
    let setting = Setting {
        policy,
        fakes: args.fakes,
        accounts: args.accounts,
        authors: args.authors,
        canaries: args.canaries,
        account_cost: args.account_cost,
        item_cost: args.item_cost,
        bond: args.bond,
        item_bond: args.item_bond,
        seed: args.seed,
    };
    let figures = simulate(&setting, args.data.as_deref())?;
    if json {
        output::json(&figures)?;
    } else {
        show(&figures)?;
    }
    Ok(true)
}

fn show(figures: &Figures) -> anyhow::Result<()> {
    for (kind, fate) in &figures.fakes {
        let kind = format!("{kind:?}").to_lowercase();
        show_fate(&format!("{kind} fakes"), fate)?;
    }
    show_fate("true items", &figures.honest)?;
    output::line(format!(
        "caught {}, missed {}; {} true items wrongly excluded, {} wrongly challenged",
        figures.caught, figures.missed, figures.wrongly_excluded, figures.wrongly_challenged
    ))?;
    if figures.locked > 0 {
        output::line(format!(
            "the attacker locks {} at registration and loses {} of it; the honest lock {}",
            figures.locked, figures.forfeited, figures.honest_locked
        ))?;
    }
    output::line(match figures.cost_per_accepted {
        Some(each) => format!("the attack costs {}: {each} for each accepted fake", figures.cost),
        None => format!("the attack costs {} and gets nothing in", figures.cost),
    })
}

fn show_fate(what: &str, fate: &Fate) -> anyhow::Result<()> {
    let mut parts: Vec<String> =
        fate.excluded.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    for (count, reason) in [(fate.by_canary, "by a canary"), (fate.by_challenge, "by a challenge")]
    {
        if count > 0 {
            parts.push(format!("{count} {reason}"));
        }
    }
    let out = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    output::line(format!(
        "{what}: {} registered, left out or removed: {out}; {} accepted",
        fate.registered, fate.accepted
    ))
}
