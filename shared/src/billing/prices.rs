//! Is what we say it costs what Stripe takes?

use super::client::Stripe;
use super::refusal::Refusal;
use super::wire;
use crate::domain::catalogue::{Catalogue, Interval, Price};
use crate::domain::quota::Tier;

/// A price that is not at Stripe what it is in the catalogue: somebody must look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Its id.
    pub price: String,
    /// What differs.
    pub what: &'static str,
}

/// Compares every price of the catalogue with Stripe's.
///
/// # Errors
/// [`Refusal`]; a price that Stripe does not have is a mismatch, no error.
pub async fn mismatches(stripe: &Stripe, catalogue: &Catalogue) -> Result<Vec<Mismatch>, Refusal> {
    let mut found = Vec::new();
    for tier in Tier::ALL {
        for interval in [Interval::Month, Interval::Year] {
            let Some(price) = catalogue.price(tier, interval) else {
                continue;
            };
            let theirs = stripe.price(&price.id).await?;
            if let Some(what) = difference(price, interval, theirs.as_ref()) {
                found.push(Mismatch {
                    price: price.id.clone(),
                    what,
                });
            }
        }
    }
    Ok(found)
}

fn difference(ours: &Price, interval: Interval, theirs: Option<&wire::Price>) -> Option<&'static str> {
    let Some(theirs) = theirs else {
        return Some("Stripe has no such price");
    };
    let every = wire::Recurring {
        interval: match interval {
            Interval::Month => "month".to_owned(),
            Interval::Year => "year".to_owned(),
        },
        interval_count: 1,
    };
    if !theirs.active {
        return Some("it is no longer sold");
    }
    if theirs.currency != "eur" {
        return Some("it is not in euros");
    }
    if theirs.unit_amount != Some(ours.amount_cents) {
        return Some("its amount differs");
    }
    (theirs.recurring.as_ref() != Some(&every)).then_some("its interval differs")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_price_that_differs_is_found_with_the_difference() {
        let ours = Price {
            id: "price_1".to_owned(),
            amount_cents: 1_200,
            former: Vec::new(),
        };
        let with = |change: fn(&mut Value)| {
            let mut theirs = json!({
                "active": true, "currency": "eur", "unit_amount": 1_200,
                "recurring": { "interval": "month", "interval_count": 1 },
            });
            change(&mut theirs);
            let theirs: wire::Price = serde_json::from_value(theirs).unwrap();
            difference(&ours, Interval::Month, Some(&theirs))
        };
        assert_eq!(with(|_| ()), None);
        assert_eq!(
            with(|it| it["active"] = false.into()),
            Some("it is no longer sold")
        );
        assert_eq!(
            with(|it| it["currency"] = "usd".into()),
            Some("it is not in euros")
        );
        assert_eq!(
            with(|it| it["unit_amount"] = 1_300.into()),
            Some("its amount differs")
        );
        assert_eq!(
            with(|it| it["recurring"]["interval_count"] = 3.into()),
            Some("its interval differs")
        );
        assert_eq!(
            difference(&ours, Interval::Month, None),
            Some("Stripe has no such price")
        );
    }
}
