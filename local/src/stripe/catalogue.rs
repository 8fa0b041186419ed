//! Products and prices: given at the start, or made by calls. No event tells of them.

use serde::{Deserialize, Serialize};

use super::calendar::Interval;
use super::refusal::Refusal;
use super::world::World;

/// What is sold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalogue {
    /// The products.
    pub products: Vec<Product>,
    /// Their prices.
    pub prices: Vec<Price>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// `prod_…`.
    pub id: String,
    /// What customers read.
    pub name: String,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// By a call.
    pub made: bool,
}

/// A recurring price in euros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// `price_…`.
    pub id: String,
    /// The product's id.
    pub product: String,
    /// Cents of a euro for each interval.
    pub cents: i64,
    /// How often.
    pub interval: Interval,
    /// The key by which it can be listed.
    pub lookup_key: Option<String>,
    /// Whether it may still be chosen.
    pub active: bool,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// By a call.
    pub made: bool,
}

impl Catalogue {
    /// Adds a product with its prices, each an id, cents and an interval.
    #[must_use]
    pub fn with<'a>(
        mut self,
        product: &str,
        name: &str,
        prices: impl IntoIterator<Item = (&'a str, i64, Interval)>,
    ) -> Self {
        self.products.push(Product {
            id: product.to_owned(),
            name: name.to_owned(),
            created: MADE,
            made: false,
        });
        self.prices
            .extend(prices.into_iter().map(|(id, cents, interval)| Price {
                id: id.to_owned(),
                product: product.to_owned(),
                cents,
                interval,
                lookup_key: id.strip_prefix("price_").map(str::to_owned),
                active: true,
                created: MADE,
                made: false,
            }));
        self
    }

    /// The three paid tiers, each by the month and by the year: `price_essentiel_monthly` and so on.
    #[must_use]
    pub fn tiers() -> Self {
        [
            ("essentiel", "Essentiel", 900),
            ("pro", "Pro", 2900),
            ("max", "Max", 8900),
        ]
        .into_iter()
        .fold(Self::default(), |catalogue, (key, name, cents)| {
            let (monthly, yearly) = (format!("price_{key}_monthly"), format!("price_{key}_yearly"));
            let prices = [
                (monthly.as_str(), cents, Interval::Month),
                (yearly.as_str(), cents * 10, Interval::Year),
            ];
            catalogue.with(&format!("prod_{key}"), &format!("La Corrigeuse {name}"), prices)
        })
    }

    /// What calls have made: the rest is given at every start.
    #[must_use]
    pub(super) fn made(&self) -> Self {
        Self {
            products: self.products.iter().filter(|it| it.made).cloned().collect(),
            prices: self.prices.iter().filter(|it| it.made).cloned().collect(),
        }
    }

    /// The price with this id.
    #[must_use]
    pub fn price(&self, id: &str) -> Option<&Price> {
        self.prices.iter().find(|price| price.id == id)
    }

    /// The product with this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }

    /// A price that may be chosen; `param` names it in a refusal.
    pub(super) fn choosable(&self, id: &str, param: &str) -> Result<&Price, Refusal> {
        let price = self
            .price(id)
            .ok_or_else(|| Refusal::missing_in(param, "price", id))?;
        if !price.active {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(Refusal {
                param: Some(param.to_owned()),
                ..Refusal::invalid(message)
            });
        }
        Ok(price)
    }

    /// The interval of a price already in use.
    pub(super) fn interval(&self, id: &str) -> Interval {
        self.price(id).map_or(Interval::Month, |price| price.interval)
    }

    /// The cents of a price already in use.
    pub(super) fn cents(&self, id: &str) -> i64 {
        self.price(id).map_or(0, |price| price.cents)
    }
}

/// What a price is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrice {
    /// The product's id.
    pub product: String,
    /// Cents of a euro for each interval.
    pub cents: i64,
    /// How often.
    pub interval: Interval,
    /// The key by which it can be listed.
    pub lookup_key: Option<String>,
    /// Whether it takes that key from a price that has it.
    pub transfer_lookup_key: bool,
}

impl World {
    /// Makes a product, under an id of our choice or of Stripe's.
    ///
    /// # Errors
    /// There is one of that id.
    pub fn create_product(&mut self, id: Option<String>, name: String) -> Result<Product, Refusal> {
        if id
            .as_ref()
            .is_some_and(|id| self.account.catalogue.product(id).is_some())
        {
            return Err(Refusal::coded(
                "resource_already_exists",
                "Product already exists.",
            ));
        }
        let product = Product {
            id: id.unwrap_or_else(|| self.mint("prod_")),
            name,
            created: self.now,
            made: true,
        };
        self.account.catalogue.products.push(product.clone());
        Ok(product)
    }

    /// Makes a price.
    ///
    /// # Errors
    /// There is no such product, or another price has the key and may keep it.
    pub fn create_price(&mut self, new: NewPrice) -> Result<Price, Refusal> {
        let catalogue = &mut self.account.catalogue;
        if catalogue.product(&new.product).is_none() {
            return Err(Refusal::missing_in("product", "product", &new.product));
        }
        let mut prices = catalogue.prices.iter_mut();
        let holder = prices.find(|price| price.lookup_key.is_some() && price.lookup_key == new.lookup_key);
        match holder {
            Some(holder) if new.transfer_lookup_key => holder.lookup_key = None,
            Some(holder) => {
                let message = format!("A price (`{}`) already uses that lookup key.", holder.id);
                return Err(Refusal {
                    param: Some("lookup_key".to_owned()),
                    ..Refusal::invalid(message)
                });
            }
            None => {}
        }
        let price = Price {
            id: self.mint("price_"),
            product: new.product,
            cents: new.cents,
            interval: new.interval,
            lookup_key: new.lookup_key,
            active: true,
            created: self.now,
            made: true,
        };
        self.account.catalogue.prices.push(price.clone());
        Ok(price)
    }
}

/// 1 January 2026.
const MADE: i64 = 1_767_225_600;
