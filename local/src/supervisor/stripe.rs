//! The local Stripe beside the functions: it sells what they sell, and tells them what happens.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::quota::Tier;

use super::Settings;
use super::secrets::{LOCAL_STRIPE_KEY, LOCAL_STRIPE_SIGNING};
use crate::stripe::calendar::Interval as Every;
use crate::stripe::catalogue::Catalogue as Sold;
use crate::stripe::{Endpoint, Settings as StripeSettings, Stripe};

/// Starts it. Like the table, it is kept in the folder of the state and belongs to the emulator's port: accounts there
/// remember what was bought here. Its events wait for [`tell`].
pub(super) async fn start(settings: &Settings) -> anyhow::Result<Stripe> {
    let catalogue = match settings.parameters.get("Catalogue") {
        Some(json) => serde_json::from_str(json).context("CATALOGUE cannot be sold from")?,
        None => Catalogue::default(),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.ports.stripe));
    let stripe = StripeSettings {
        address,
        secret_key: LOCAL_STRIPE_KEY.to_owned(),
        // Other ids than in any other folder, or before it was emptied.
        seed: uuid::Uuid::new_v4().as_u64_pair().0,
        catalogue: sold(&catalogue),
        kept_in: Some(
            settings
                .folder
                .join(format!("stripe-{}.json", settings.ports.aws)),
        ),
        ..StripeSettings::default()
    };
    Stripe::start(stripe)
        .await
        .with_context(|| format!("the local Stripe cannot start on {address}"))
}

/// Tells the functions, which answer now, what happens from here on, and what they have not been told yet.
pub(super) fn tell(stripe: &Stripe, api: &str) {
    stripe.deliver_to(Endpoint {
        url: format!("{api}/lambda-url/webhook/"),
        secrets: vec![LOCAL_STRIPE_SIGNING.to_owned()],
    });
}

fn sold(catalogue: &Catalogue) -> Sold {
    let mut sold = Sold::default();
    for tier in Tier::ALL {
        let prices: Vec<_> = [(Interval::Month, Every::Month), (Interval::Year, Every::Year)]
            .into_iter()
            .filter_map(|(interval, every)| {
                let price = catalogue.price(tier, interval)?;
                let cents = i64::try_from(price.amount_cents).unwrap_or(i64::MAX);
                Some((price.id.as_str(), cents, every))
            })
            .collect();
        if !prices.is_empty() {
            let name = tier.name();
            sold = sold.with(&format!("prod_{name}"), &format!("La Corrigeuse {name}"), prices);
        }
    }
    sold
}
