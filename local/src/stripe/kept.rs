//! What a Stripe keeps from one start to the next, in one file: `make dev` keeps its tables, and accounts there remember
//! what they bought. A test keeps nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::catalogue::{Catalogue, Price, Product};
use super::world::{Account, Word, World};

/// The file, and what it says already.
pub(super) struct Keeper {
    path: PathBuf,
    written: String,
}

/// A Stripe as its file remembers it.
#[derive(Deserialize)]
pub(super) struct Remembered {
    now: i64,
    /// How far its world was ahead of the machine's clock.
    pub(super) ahead_seconds: i64,
    made: Catalogue,
    world: World,
}

impl Remembered {
    /// The world as it was left, with the settings of this start. What became due meanwhile is done when its clock is
    /// next moved; a test clock does not outlive its Stripe.
    pub(super) fn world(self, mut account: Account) -> World {
        let sold = &mut account.catalogue;
        let new = |product: &Product| sold.products.iter().all(|given| given.id != product.id);
        let products: Vec<Product> = self.made.products.into_iter().filter(new).collect();
        let new = |price: &Price| sold.prices.iter().all(|given| given.id != price.id);
        let prices: Vec<Price> = self.made.prices.into_iter().filter(new).collect();
        sold.products.extend(products);
        sold.prices.extend(prices);
        let mut world = self.world;
        world.account = account;
        world.now = self.now;
        world.delete_test_clocks();
        world
    }
}

/// The same, as it is written into the file.
#[derive(Serialize)]
struct Written<'a> {
    now: i64,
    ahead_seconds: i64,
    made: Catalogue,
    world: &'a World,
}

impl Keeper {
    /// What the file keeps; `None` at the first start.
    ///
    /// # Errors
    /// The file cannot be read, or was written by another version of this program.
    pub(super) fn open(path: PathBuf) -> io::Result<(Self, Option<Remembered>)> {
        let kept = match fs::read_to_string(&path) {
            Ok(text) => Some(serde_json::from_str(&text).map_err(|error| {
                let why = format!(
                    "{} is not what this Stripe wrote ({error}): remove it",
                    path.display()
                );
                io::Error::new(ErrorKind::InvalidData, why)
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let written = String::new();
        Ok((Self { path, written }, kept))
    }

    /// Writes the file, if anything has happened since it was last written; whole, or not at all.
    pub(super) fn keep(&mut self, world: &World, ahead_seconds: i64) -> io::Result<()> {
        let made = world.account.catalogue.made();
        let state = serde_json::to_string(&(ahead_seconds, &made, world))?;
        if state == self.written {
            return Ok(());
        }
        let written = Written {
            now: world.now(),
            ahead_seconds,
            made,
            world,
        };
        let beside = self.path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&written)?)?;
        fs::rename(&beside, &self.path)?;
        self.written = state;
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A word of Stripe's. There are few, and a file is read once: each lives as long as the program.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    String::deserialize(deserializer).map(|word| &*word.leak())
}

/// The same, where there may be none.
pub(super) fn maybe_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(word.map(|word| &*word.leak()))
}
