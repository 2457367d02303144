//! A module that an operator has taken back, and that still lies in its projection's file: nothing is built of it again
//! before another module lies there, whatever becomes of the generation that it had built.

use super::message::Outcome;
use super::verdict::Module;
use super::{CommandError, Hosted, Projection, Supervisor};
use crate::catalog::{CatalogError, GenerationState};

impl Supervisor {
    /// What a projection's status says of the module in its file, if that was taken back or given up.
    pub(super) fn declined_in_words(&self, projection: &Projection) -> Option<String> {
        let (file, in_file) = (projection.file.as_deref()?, self.in_file(projection)?);
        let declined = projection.declined.as_deref();
        let digest = declined.filter(|declined| *declined == in_file.digest)?;
        let digest = digest.get(..8).unwrap_or(digest);
        Some(format!(
            "{file} holds the module {digest}, which was taken back or given up and is not built again: put another module \
             there, or the one that is live and then this one again"
        ))
    }

    /// The module that must not come back by itself when `next` takes the place of `live`.
    pub(super) fn declined_by_switch(
        &self,
        projection: &Projection,
        live: &Hosted,
        next: &Hosted,
    ) -> Option<String> {
        // What is not known, because the host has just started or the file is away, is what it was: what was taken back
        // before, else what was live until now.
        let in_file = self.in_file(projection).map(|module| module.digest);
        let in_file = in_file
            .or(projection.declined.as_deref())
            .unwrap_or(&live.record.digest);
        if in_file == next.record.digest {
            return None;
        }
        let goes_back = next.record.version <= live.record.version;
        let rolls_back = next.record.state == GenerationState::Standby && goes_back;
        // Who goes back from a file that is damaged did not take back the module.
        if rolls_back && in_file == live.record.digest && live.broken().is_none() {
            return Some(in_file.to_owned());
        }
        projection.declined.clone()
    }

    /// The version that could not be built and makes way for the live one, if its module may still lie in its file: the
    /// catalog declines it then.
    pub(super) fn makes_way_for_live(&self, projection: &Projection) -> Option<u32> {
        let live = projection.live()?.record.version;
        let later = projection.built().map(|built| &built.record);
        let later = later.filter(|later| later.version > live)?;
        let in_file = self.in_file(projection).map(|module| module.digest);
        let may_be = in_file.is_none_or(|in_file| in_file == later.digest);
        may_be.then_some(later.version)
    }

    /// What is being built, or could not be built, is given up.
    pub(super) fn cancel(&mut self, name: &str) -> Result<Outcome, CommandError> {
        let projection = self.find(name)?;
        let Some(built) = projection.built() else {
            let name = name.to_owned();
            return Err(CommandError::NothingToCancel { name });
        };
        let (number, version) = (built.record.number, built.record.version);
        let later = self.makes_way_for_live(projection);
        let declined = later.map(|_| built.record.digest.as_str());
        self.ground.shared.catalog.cancel(name, declined)?;
        self.follow(name)?;
        tracing::info!(projection = name, version, generation = number, "cancelled");
        let note = later.map_or(
            "",
            |_| "; its module file brings it back only after it held another module",
        );
        let message =
            format!("generation {number} of {name}, of version {version}, is given up{note}");
        Ok(Outcome::said(message, Some(number)))
    }

    /// Another module lies in the projection's file: the one that was taken back may come again.
    pub(super) fn not_declined(&mut self, name: &str, in_file: &str) -> Result<(), CatalogError> {
        let declined = self.projections.get(name);
        let declined = declined.and_then(|found| found.declined.as_deref());
        if declined.is_none_or(|declined| declined == in_file) {
            return Ok(());
        }
        self.ground.shared.catalog.decline(name, None)?;
        self.follow(name)
    }

    fn in_file(&self, projection: &Projection) -> Option<Module<'_>> {
        let content = self.files.get(projection.file.as_deref()?)?;
        Some(Module::new(&content.module))
    }
}
