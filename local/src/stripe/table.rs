//! Objects of one kind, in the order in which they were made.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What has an id.
pub trait Named {
    /// The id.
    fn id(&self) -> &str;
}

/// Objects by id. A snapshot is a shared pointer; a change copies only what a snapshot still holds.
#[derive(Debug, Clone)]
pub struct Table<T> {
    rows: Vec<Arc<T>>,
    places: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            places: HashMap::new(),
        }
    }
}

/// Kept as its objects in their order.
impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Named + Clone> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Self::default();
        for object in Vec::<T>::deserialize(deserializer)? {
            table.insert(object);
        }
        Ok(table)
    }
}

impl<T: Named + Clone> Table<T> {
    /// Adds an object, and returns its snapshot.
    pub(super) fn insert(&mut self, object: T) -> Arc<T> {
        let object = Arc::new(object);
        self.places.insert(object.id().to_owned(), self.rows.len());
        self.rows.push(Arc::clone(&object));
        object
    }

    /// The object as it is now.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.rows.get(*self.places.get(id)?)
    }

    /// Changes an object; `None` if there is none. Returns what it was and what it is.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut T)) -> Option<(Arc<T>, Arc<T>)> {
        let row = self.rows.get_mut(*self.places.get(id)?)?;
        let before = Arc::clone(row);
        change(Arc::make_mut(row));
        Some((before, Arc::clone(row)))
    }

    /// All objects, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<T>> {
        self.rows.iter()
    }
}
