//! What is sold: the tiers, what each grants, what it costs, and which of Stripe's prices stands for it.
//!
//! All of it is configuration (the variable `CATALOGUE`), checked when a function starts; the defaults are the
//! product's limits, and prices that only the local Stripe knows.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

use super::quota::Tier;

/// How often a subscription is paid. Tokens are granted by the month either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub enum Interval {
    /// Every month.
    #[default]
    Month,
    /// Every year.
    Year,
}

/// One of Stripe's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Stripe's id, as `price_1Abc`.
    pub id: String,
    /// What is paid each interval, taxes included. Unit: euro cents.
    pub amount_cents: u64,
    /// The ids of the prices before it: nobody buys them any more, and who bought them keeps the tier. Stripe's prices
    /// do not change; another amount is another price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
}

impl Price {
    /// Its id, and those before it.
    fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id).chain(&self.former).map(String::as_str)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    tokens: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    month: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year: Option<Price>,
}

/// Why a catalogue cannot be sold from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// A tier is not there.
    #[error("the tier {0} is missing: name all four (free, essentiel, pro, max)")]
    Missing(&'static str),
    /// A tier grants no more than a cheaper one.
    #[error("{0} must grant more tokens than the tier below it")]
    Tokens(&'static str),
    /// A paid tier has no monthly price, or Free has one.
    #[error("{0}: a paid tier needs a monthly price, and Free must have none")]
    Priced(&'static str),
    /// A price costs nothing, or no more than the same price of a cheaper tier.
    #[error("{0} must cost more than the tier below it, and more than nothing")]
    Amount(&'static str),
    /// An id that is not one of Stripe's.
    #[error("{0:?} is not a Stripe price id: it begins with `price_`")]
    PriceId(String),
    /// An id that stands for two things.
    #[error("the price {0:?} is named twice")]
    Repeated(String),
}

/// The four tiers, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Tier, Offer>", into = "BTreeMap<Tier, Offer>")]
pub struct Catalogue([Offer; 4]);

/// What a tier would give: for whoever is asked to choose one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The tier.
    pub tier: Tier,
    /// What it grants each month. Unit: tokens.
    pub tokens: u64,
    /// What it costs each month.
    pub price: Price,
}

impl Catalogue {
    /// Tokens that `tier` grants: once for Free, each month for the others.
    #[must_use]
    pub const fn granted_tokens(&self, tier: Tier) -> u64 {
        self.offer(tier).tokens
    }

    /// The price of `tier`, if it is sold at that interval.
    #[must_use]
    pub const fn price(&self, tier: Tier, interval: Interval) -> Option<&Price> {
        match interval {
            Interval::Month => self.offer(tier).month.as_ref(),
            Interval::Year => self.offer(tier).year.as_ref(),
        }
    }

    /// What a Stripe price stands for; `None` for one that we never sold.
    #[must_use]
    pub fn sold(&self, price_id: &str) -> Option<(Tier, Interval)> {
        Tier::ALL
            .into_iter()
            .flat_map(|tier| [(tier, Interval::Month), (tier, Interval::Year)])
            .find(|&(tier, interval)| {
                self.price(tier, interval)
                    .is_some_and(|price| price.ids().any(|id| id == price_id))
            })
    }

    /// The tiers above `tier`, cheapest first.
    pub fn above(&self, tier: Tier) -> impl Iterator<Item = Upgrade> {
        Tier::ALL
            .into_iter()
            .filter(move |&it| it > tier)
            .filter_map(|tier| {
                let price = self.price(tier, Interval::Month)?;
                let tokens = self.granted_tokens(tier);
                Some(Upgrade {
                    tier,
                    tokens,
                    price: price.clone(),
                })
            })
    }

    const fn offer(&self, tier: Tier) -> &Offer {
        let [free, essentiel, pro, max] = &self.0;
        match tier {
            Tier::Free => free,
            Tier::Essentiel => essentiel,
            Tier::Pro => pro,
            Tier::Max => max,
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        let paid = |tokens, tier: &str, month_cents, year_cents| Offer {
            tokens,
            month: Some(Price {
                id: format!("price_local_{tier}_month"),
                amount_cents: month_cents,
                former: Vec::new(),
            }),
            year: Some(Price {
                id: format!("price_local_{tier}_year"),
                amount_cents: year_cents,
                former: Vec::new(),
            }),
        };
        Self([
            Offer {
                tokens: 100_000,
                month: None,
                year: None,
            },
            paid(1_200_000, "essentiel", 1_200, 12_000),
            paid(6_000_000, "pro", 3_900, 39_000),
            paid(24_000_000, "max", 12_900, 129_000),
        ])
    }
}

impl TryFrom<BTreeMap<Tier, Offer>> for Catalogue {
    type Error = CatalogueError;

    fn try_from(mut offers: BTreeMap<Tier, Offer>) -> Result<Self, CatalogueError> {
        let mut take = |tier: Tier| offers.remove(&tier).ok_or(CatalogueError::Missing(tier.name()));
        let catalogue = Self([
            take(Tier::Free)?,
            take(Tier::Essentiel)?,
            take(Tier::Pro)?,
            take(Tier::Max)?,
        ]);
        catalogue.check()?;
        Ok(catalogue)
    }
}

impl From<Catalogue> for BTreeMap<Tier, Offer> {
    fn from(catalogue: Catalogue) -> Self {
        Tier::ALL.into_iter().zip(catalogue.0).collect()
    }
}

impl Catalogue {
    fn check(&self) -> Result<(), CatalogueError> {
        let mut ids = HashSet::new();
        let mut below = (0, 0, 0);
        for tier in Tier::ALL {
            let name = tier.name();
            let offer = self.offer(tier);
            let priced = match tier {
                Tier::Free => offer.month.is_none() && offer.year.is_none(),
                Tier::Essentiel | Tier::Pro | Tier::Max => offer.month.is_some(),
            };
            if !priced {
                return Err(CatalogueError::Priced(name));
            }
            if offer.tokens <= below.0 {
                return Err(CatalogueError::Tokens(name));
            }
            let cents = |price: &Option<Price>| price.as_ref().map(|price| price.amount_cents);
            let (month, year) = (cents(&offer.month), cents(&offer.year));
            if month.is_some_and(|it| it <= below.1) || year.is_some_and(|it| it <= below.2) {
                return Err(CatalogueError::Amount(name));
            }
            below = (offer.tokens, month.unwrap_or(below.1), year.unwrap_or(below.2));
            let prices = [&offer.month, &offer.year].into_iter().flatten();
            for id in prices.flat_map(Price::ids) {
                if !id.starts_with("price_") {
                    return Err(CatalogueError::PriceId(id.to_owned()));
                }
                if !ids.insert(id) {
                    return Err(CatalogueError::Repeated(id.to_owned()));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(change: impl FnOnce(&mut serde_json::Value)) -> Result<Catalogue, String> {
        let mut json = serde_json::to_value(Catalogue::default()).unwrap();
        change(&mut json);
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_catalogue_is_the_products_and_passes_its_own_check() {
        let catalogue = configured(|_| ()).unwrap();
        assert_eq!(catalogue, Catalogue::default());
        let granted = Tier::ALL.map(|tier| catalogue.granted_tokens(tier));
        assert_eq!(granted, [100_000, 1_200_000, 6_000_000, 24_000_000]);
        assert_eq!(
            catalogue.sold("price_local_pro_year"),
            Some((Tier::Pro, Interval::Year))
        );
        assert_eq!(catalogue.sold("price_else"), None);
        let raised = configured(|it| {
            let month = &mut it["pro"]["month"];
            *month = serde_json::json!({
                "id": "price_dearer", "amount_cents": 4_500, "former": ["price_first", "price_local_pro_month"],
            });
        });
        let raised = raised.unwrap();
        assert_eq!(
            raised.price(Tier::Pro, Interval::Month).unwrap().id,
            "price_dearer"
        );
        for id in ["price_dearer", "price_first", "price_local_pro_month"] {
            assert_eq!(raised.sold(id), Some((Tier::Pro, Interval::Month)), "{id}");
        }
        let above: Vec<Tier> = catalogue.above(Tier::Essentiel).map(|it| it.tier).collect();
        assert_eq!(above, [Tier::Pro, Tier::Max]);
    }

    #[test]
    fn a_catalogue_that_cannot_be_sold_from_is_refused_with_the_reason() {
        type Break = fn(&mut serde_json::Value);
        let cases: [(Break, &str); 8] = [
            (
                |it| drop(it.as_object_mut().unwrap().remove("pro")),
                "the tier pro is missing",
            ),
            (|it| it["gold"] = it["pro"].clone(), "unknown variant"),
            (|it| it["max"]["tokens"] = 6_000_000.into(), "max must grant more"),
            (
                |it| drop(it["pro"].as_object_mut().unwrap().remove("month")),
                "pro: a paid tier",
            ),
            (
                |it| it["free"]["month"] = it["pro"]["month"].clone(),
                "free: a paid tier",
            ),
            (
                |it| it["essentiel"]["month"]["amount_cents"] = 0.into(),
                "essentiel must cost more",
            ),
            (
                |it| it["pro"]["month"]["id"] = "prod_1".into(),
                "is not a Stripe price id",
            ),
            (
                |it| it["pro"]["month"]["id"] = it["pro"]["year"]["id"].clone(),
                "named twice",
            ),
        ];
        for (change, reason) in cases {
            let refused = configured(change).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
