//! Names of classes, each with a number.

use std::collections::HashMap;

/// At most so many classes are told apart.
pub const MAX_CLASSES: usize = 256;
/// No class.
pub(super) const NONE: u16 = u16::MAX;

/// Classes in the order in which they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    pub names: Vec<String>,
    places: HashMap<String, u16>,
    /// There were more than [`MAX_CLASSES`].
    pub is_over: bool,
}

impl Classes {
    /// `NONE` of a class for which there is no room.
    pub fn place(&mut self, name: &str) -> u16 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.names.len() == MAX_CLASSES {
            self.is_over = true;
            return NONE;
        }
        let place = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    /// Adds classes, and says where each of them went.
    pub fn absorb(&mut self, others: &Self) -> Vec<u16> {
        self.is_over |= others.is_over;
        others.names.iter().map(|name| self.place(name)).collect()
    }

    /// The names in their order, and where each class goes in it.
    pub fn sorted(&self) -> (Vec<String>, Vec<u16>) {
        let mut names = self.names.clone();
        names.sort_unstable();
        let place = |name: &String| names.binary_search(name).map_or(NONE, |place| place as u16);
        let places = self.names.iter().map(place).collect();
        (names, places)
    }
}

/// Where a class went.
pub(super) fn moved(place: u16, places: &[u16]) -> u16 {
    places.get(usize::from(place)).copied().unwrap_or(NONE)
}
