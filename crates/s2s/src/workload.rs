//! From measurements of a game server to its load level.
//!
//! Each controller looks at one input and is at one level. It rises while the input is over the bound of its level and
//! falls while the input is under the lower bound, so that it does not swing between two levels. The highest level of
//! all controllers counts.

/// Number of load levels: 0 is idle, the last one is full.
pub const LOAD_LEVELS: u8 = 10;

/// What a controller looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadInput {
    /// Processor time, in percent of what the process may use.
    CpuUsage,
    /// Bytes of clients in and out per second.
    Bandwidth,
    /// Connected clients.
    PeerCount,
}

/// When a level is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelBound {
    /// The level, below [`LOAD_LEVELS`].
    pub level: u8,
    /// It rises while the input is over this.
    pub rises_over: u32,
    /// It falls while the input is under this.
    pub falls_under: u32,
}

/// Turns one input into a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    input: LoadInput,
    bounds: Vec<LevelBound>,
    at: usize,
}

impl Controller {
    /// A controller with its levels from the lowest to the highest, at `level` until it is told an input.
    #[must_use]
    pub fn new(input: LoadInput, bounds: Vec<LevelBound>, level: u8) -> Self {
        let at = bounds.iter().rposition(|bound| bound.level <= level).unwrap_or_default();
        Self { input, bounds, at }
    }

    fn level(&self) -> u8 {
        self.bounds.get(self.at).map_or(0, |bound| bound.level)
    }

    fn update(&mut self, input: u32) {
        let last = self.bounds.len().saturating_sub(1);
        while self.at < last && self.bounds.get(self.at).is_some_and(|bound| input > bound.rises_over) {
            self.at += 1;
        }
        while self.at > 0 && self.bounds.get(self.at).is_some_and(|bound| input < bound.falls_under) {
            self.at -= 1;
        }
    }
}

/// A measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Processor time in percent.
    pub cpu_percent: u32,
    /// Bytes of clients in and out per second.
    pub bytes_per_second: u32,
    /// Connected clients.
    pub peers: u32,
}

/// All controllers of a game server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// The highest level of them counts; without one the server is idle.
    pub controllers: Vec<Controller>,
}

impl Workload {
    /// The level after a measurement.
    pub fn update(&mut self, measured: Measured) -> u8 {
        for controller in &mut self.controllers {
            controller.update(match controller.input {
                LoadInput::CpuUsage => measured.cpu_percent,
                LoadInput::Bandwidth => measured.bytes_per_second,
                LoadInput::PeerCount => measured.peers,
            });
        }
        self.controllers.iter().map(Controller::level).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of ten each, left two below where they are entered.
    fn tens(input: LoadInput) -> Controller {
        let bound = |level: u8| {
            let entered = u32::from(level) * 10;
            LevelBound { level, rises_over: entered + 10, falls_under: entered.saturating_sub(2) }
        };
        Controller::new(input, (0..LOAD_LEVELS).map(bound).collect(), 0)
    }

    #[test]
    fn a_level_is_left_later_than_it_is_entered() {
        let mut workload = Workload { controllers: vec![tens(LoadInput::CpuUsage)] };
        let levels = [5, 10, 11, 9, 8, 7, 45, 38, 37, 500, 0]
            .map(|cpu_percent| workload.update(Measured { cpu_percent, bytes_per_second: 1_000, peers: 1_000 }));
        assert_eq!(levels, [0, 0, 1, 1, 1, 0, 4, 4, 3, 9, 0]);
    }

    #[test]
    fn the_highest_level_of_all_controllers_counts() {
        let mut workload = Workload { controllers: vec![tens(LoadInput::CpuUsage), tens(LoadInput::PeerCount)] };
        assert_eq!(workload.update(Measured { cpu_percent: 25, bytes_per_second: 99, peers: 75 }), 7);
        assert_eq!(workload.update(Measured { cpu_percent: 25, bytes_per_second: 99, peers: 0 }), 2);
        assert_eq!(Workload::default().update(Measured { cpu_percent: 99, ..Measured::default() }), 0);
    }

    #[test]
    fn a_controller_begins_at_the_level_it_is_told_and_levels_may_be_missing() {
        let bounds = vec![
            LevelBound { level: 0, rises_over: 10, falls_under: 0 },
            LevelBound { level: 5, rises_over: 50, falls_under: 10 },
            LevelBound { level: 9, rises_over: 90, falls_under: 50 },
        ];
        let controller = Controller::new(LoadInput::CpuUsage, bounds, 6);
        assert_eq!(controller.level(), 5);
        let mut workload = Workload { controllers: vec![controller] };
        assert_eq!(workload.update(Measured { cpu_percent: 60, ..Measured::default() }), 9);
        assert_eq!(Controller::new(LoadInput::CpuUsage, Vec::new(), 3).level(), 0);
    }
}
