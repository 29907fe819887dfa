//! Load of game servers: `Workload.config` (how load becomes a level) and `LoadBalancer.config` (how likely a level is
//! chosen). Version 4 has other names for the outermost element and the items; both are read.
//!
//! A server is at one level of each controller. It rises while the input is over `Value` of the level and falls while the
//! input is under `ValueDown`; the highest level of all controllers counts.

use std::path::PathBuf;

use crate::application::Application;
use crate::check::{Check, attributes};
use crate::role_file::common_places;
use crate::settings::{Case, Reader, settings};
use crate::source::Span;
use crate::value::Value;
use crate::xml::Element;

/// Number of load levels.
const LEVELS: u8 = 10;

/// The file with the weights.
const BALANCER_FILE: &str = "LoadBalancer.config";

/// How loaded a server is, from 0 (idle) to 9 (full).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadLevel(u8);

impl LoadLevel {
    /// Idle.
    pub const LOWEST: Self = Self(0);
    /// Full.
    pub const HIGHEST: Self = Self(LEVELS - 1);

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Value for LoadLevel {
    const EXPECTED: &'static str = "Lowest, Level0 to Level9 or Highest";

    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("Lowest") {
            return Some(Self::LOWEST);
        }
        if text.eq_ignore_ascii_case("Highest") {
            return Some(Self::HIGHEST);
        }
        let (name, digit) = text.split_at_checked(5)?;
        let level = digit.parse().ok().filter(|&level| level < LEVELS && digit.len() == 1)?;
        name.eq_ignore_ascii_case("Level").then_some(Self(level))
    }

    fn show(&self) -> String {
        match *self {
            Self::LOWEST => "Lowest".to_owned(),
            Self::HIGHEST => "Highest".to_owned(),
            Self(level) => format!("Level{level}"),
        }
    }
}

/// What a controller looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadInput {
    /// Processor time in percent.
    CpuUsage,
    /// Bytes in and out per second.
    Bandwidth,
    /// Connected clients.
    PeerCount,
    /// Whether the operator took the server out of rotation: 0 or 1.
    OutOfRotation,
}

const INPUTS: [(LoadInput, &str); 4] = [
    (LoadInput::CpuUsage, "CpuUsage"),
    (LoadInput::Bandwidth, "Bandwidth"),
    (LoadInput::PeerCount, "PeerCount"),
    (LoadInput::OutOfRotation, "OutOfRotation"),
];

impl Value for LoadInput {
    const EXPECTED: &'static str = "CpuUsage, Bandwidth, PeerCount or OutOfRotation";

    fn parse(text: &str) -> Option<Self> {
        INPUTS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|&(input, _)| input)
    }

    fn show(&self) -> String {
        INPUTS.iter().find(|(input, _)| input == self).map_or("", |(_, name)| name).to_owned()
    }
}

/// A share of something, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

impl Value for Ratio {
    const EXPECTED: &'static str = "a number from 0 to 1";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Self)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

settings! {
    /// Attributes of a `Controller` of `Workload.config`.
    ControllerSettings {
        /// What is looked at.
        "Name" => input: Option<LoadInput> = None, "must be written", Restart;
        /// Input before the first measurement.
        "InitialInput" => initial_input: u32 = 0, "as the shipped file", Restart;
        /// Level before the first measurement.
        "InitialLevel" => initial_level: LoadLevel = LoadLevel::LOWEST, "as the shipped file", Restart;
    }
}

settings! {
    /// Attributes of a `Level` of a controller.
    LevelSettings {
        /// The level.
        "Level" => level: Option<LoadLevel> = None, "must be written", Restart;
        /// Input over which the server rises to the next level.
        "Value" => value: u32 = 0, "must be written", Restart;
        /// Input under which the server falls to the level before.
        "ValueDown" => value_down: Option<u32> = None, "Value of the level before", Restart;
    }
}

settings! {
    /// Attributes of `LoadBalancer`.
    LoadBalancerSettings {
        /// Share of the servers that is kept free.
        "ReserveRatio" => reserve_ratio: Ratio = Ratio(0.0), "as the reference product", Live;
        /// Level at which servers of the next priority are taken too.
        "ValueUp" => value_up: LoadLevel = LoadLevel::HIGHEST, "as the reference product", Live;
    }
}

settings! {
    /// Attributes of a `Level` of `LoadBalancerWeights`.
    WeightSettings {
        /// The level.
        "Level" => level: Option<LoadLevel> = None, "must be written", Live;
        /// How likely a server of that level is chosen; 0 = never.
        "Value" => weight: Option<u32> = None, "must be written", Live;
    }
}

/// When a server leaves a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelBound {
    /// The level.
    pub level: LoadLevel,
    /// It rises while the input is over this.
    pub rises_over: u32,
    /// It falls while the input is under this.
    pub falls_under: u32,
}

/// Turns one input into a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// What is looked at.
    pub input: LoadInput,
    /// Input before the first measurement.
    pub initial_input: u32,
    /// Level before the first measurement.
    pub initial_level: LoadLevel,
    /// From the lowest level to the highest.
    pub bounds: Vec<LevelBound>,
}

/// How load becomes a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The highest level of them counts.
    pub controllers: Vec<Controller>,
}

impl Default for Workload {
    /// A level for each 10 % of the processor and each MiB per second, left one percent below where it is entered.
    fn default() -> Self {
        let controller = |input, step: u32| {
            let bound = |level: u8| {
                let entered = step * u32::from(level);
                let full = u32::from(level == LEVELS - 1);
                LevelBound {
                    level: LoadLevel(level),
                    rises_over: step * (u32::from(level) + 1 + full),
                    falls_under: entered - entered.div_ceil(100),
                }
            };
            let bounds = (0..LEVELS).map(bound).collect();
            Controller { input, initial_input: 0, initial_level: LoadLevel::LOWEST, bounds }
        };
        Self { controllers: vec![controller(LoadInput::CpuUsage, 10), controller(LoadInput::Bandwidth, 1024 * 1024)] }
    }
}

/// How game servers are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// Its attributes.
    pub settings: LoadBalancerSettings,
    /// How likely a server is chosen, by its level.
    pub weights: [u32; LEVELS as usize],
}

impl Default for LoadBalancer {
    fn default() -> Self {
        Self { settings: LoadBalancerSettings::default(), weights: [20, 17, 15, 13, 11, 9, 7, 5, 3, 0] }
    }
}

/// Reads the file that the game server's settings name. Without one the defaults hold.
pub(crate) fn read_workload(check: &mut Check<'_>, application: &Application, name: &str) -> Workload {
    let places = common_places(check, application, name);
    let Some(system) = open(check, &places, "FeedbackControlSystem") else { return Workload::default() };
    check.unknown_children(&system, &["FeedbackControllers"]);
    let items = system.children("FeedbackControllers").flat_map(|list| &list.children);
    let mut controllers: Vec<(Controller, Span)> = Vec::new();
    for item in items {
        // The vendor's own file misspells the name of an item, so what counts is what it holds.
        if item.children("FeedbackLevels").next().is_none() {
            let text = format!("<{}> has no <FeedbackLevels>, so it has no effect", item.name.text);
            check.warn(&item.name.span, text);
            continue;
        }
        let Some(controller) = read_controller(check, item) else { continue };
        if let Some((_, first)) = controllers.iter().find(|(other, _)| other.input == controller.input) {
            let line = check.line(first, &item.name.span);
            let text = format!("controller {} is written twice, first in {line}", controller.input.show());
            check.fail(&item.name.span, text);
        }
        controllers.push((controller, item.name.span.clone()));
    }
    if system.children("FeedbackControllers").all(|list| list.children.is_empty()) {
        check.warn(&system.name.span, "there is no controller in this file, so every server is at the lowest level");
    }
    Workload { controllers: controllers.into_iter().map(|(controller, _)| controller).collect() }
}

fn read_controller(check: &mut Check<'_>, element: &Element) -> Option<Controller> {
    check.unknown_children(element, &["FeedbackLevels"]);
    let name = element.attribute("Name").map_or("", |name| name.value.text.as_str()).to_owned();
    let mut reader = Reader::new(check, format!("controller {name}"), Case::Free, attributes(element));
    let settings = ControllerSettings::read(&mut reader);
    let is_named = reader.span("Name").is_some();
    reader.finish();
    let mut bounds: Vec<LevelBound> = Vec::new();
    for item in element.children("FeedbackLevels").flat_map(|list| &list.children) {
        let mut entries = attributes(item);
        // Some files repeat the level under another name.
        if item.attribute("Level").is_some() {
            entries.retain(|entry| !entry.name.eq_ignore_ascii_case("name"));
        }
        let level = item.attribute("Level").map_or("", |level| level.value.text.as_str());
        let mut reader = Reader::new(check, format!("controller {name} {level}"), Case::Free, entries);
        let one = LevelSettings::read(&mut reader);
        let spans = [reader.span("Level"), reader.span("Value"), reader.span("ValueDown")];
        reader.finish();
        let before = bounds.last().copied();
        let bound = LevelBound {
            level: one.level.unwrap_or(LoadLevel::LOWEST),
            rises_over: one.value,
            falls_under: one.value_down.unwrap_or_else(|| before.map_or(0, |before| before.rises_over)),
        };
        if check_bound(check, &item.name.span, spans, before, bound) && one.level.is_some() {
            bounds.push(bound);
        }
    }
    if !is_named {
        let text = format!("<{}> has no Name; expected {}", element.name.text, LoadInput::EXPECTED);
        check.fail(&element.name.span, text);
    }
    let (initial_input, initial_level) = (settings.initial_input, settings.initial_level);
    Some(Controller { input: settings.input?, initial_input, initial_level, bounds })
}

/// Whether a level fits to the one before; what does not is told.
fn check_bound(
    check: &mut Check<'_>,
    item: &Span,
    [level, value, value_down]: [Option<Span>; 3],
    before: Option<LevelBound>,
    bound: LevelBound,
) -> bool {
    let (Some(level), Some(value)) = (level, value) else {
        check.fail(item, "expected a Level and its Value, got less");
        return false;
    };
    if before.is_some_and(|before| before.level >= bound.level) {
        check.fail(&level, "this level is not over the one before; expected the levels from the lowest to the highest");
    } else if before.is_some_and(|before| before.rises_over >= bound.rises_over) {
        check.fail(&value, "this Value is not over that of the level before, so the level is never left");
    } else if bound.falls_under > bound.rises_over {
        check.fail(&value_down.unwrap_or(value), "ValueDown is over Value; expected at most that");
    } else {
        return true;
    }
    false
}

/// Reads the weights of the Master. Without the file the defaults hold.
pub(crate) fn read_balancer(check: &mut Check<'_>, application: &Application) -> LoadBalancer {
    let places = common_places(check, application, BALANCER_FILE);
    let mut balancer = LoadBalancer::default();
    let Some(element) = open(check, &places, "LoadBalancer") else { return balancer };
    check.unknown_children(&element, &["LoadBalancerWeights"]);
    let mut reader = Reader::new(check, "LoadBalancer", Case::Free, attributes(&element));
    balancer.settings = LoadBalancerSettings::read(&mut reader);
    reader.finish();
    let mut seen: Vec<(LoadLevel, Span)> = Vec::new();
    for item in element.children("LoadBalancerWeights").flat_map(|list| &list.children) {
        let level = item.attribute("Level").map_or("", |level| level.value.text.as_str());
        let of = format!("weight {level}");
        let mut reader = Reader::new(check, of, Case::Free, attributes(item));
        let WeightSettings { level, weight } = WeightSettings::read(&mut reader);
        let is_whole = reader.span("Level").is_some() && reader.span("Value").is_some();
        reader.finish();
        if !is_whole {
            check.fail(&item.name.span, "expected a Level and its Value, got less");
        }
        let (Some(level), Some(weight)) = (level, weight) else { continue };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == level) {
            let line = check.line(first, &item.name.span);
            check.fail(&item.name.span, format!("the weight of {} is written twice, first in {line}", level.show()));
        }
        seen.push((level, item.name.span.clone()));
        if let Some(place) = balancer.weights.get_mut(usize::from(level.number())) {
            *place = weight;
        }
    }
    if balancer.weights.iter().all(|&weight| weight == 0) {
        check.fail(&element.name.span, "every weight is 0, so no game server is ever chosen; expected one over 0");
    }
    balancer
}

/// The element of this name in the first file that is there: the outermost one, or in `root`. A file that is not well
/// formed is as good as none: the vendor ships one, and its server starts with it.
fn open(check: &mut Check<'_>, places: &[PathBuf], name: &str) -> Option<Element> {
    let file = places.iter().find_map(|path| check.open(path).transpose())?.ok()?;
    let root =
        check.parse_dispensable_xml(file, "nothing of this file has an effect, and the built-in levels hold").ok()?;
    if root.is(name) {
        return Some(root);
    }
    let span = root.name.span.clone();
    let got = root.name.text.clone();
    let found = if root.is("root") { root.children.into_iter().find(|child| child.is(name)) } else { None };
    if found.is_none() {
        check.fail(&span, format!("expected <{name}>, in <root> or alone, got <{got}> without it"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_three_spellings() {
        let level = LoadLevel::parse;
        assert_eq!((level("Lowest"), level("level0")), (Some(LoadLevel::LOWEST), Some(LoadLevel::LOWEST)));
        assert_eq!((level("Highest"), level("Level9")), (Some(LoadLevel::HIGHEST), Some(LoadLevel::HIGHEST)));
        assert_eq!(["Level10", "Level", "Level+1", "5", "", "Größe1"].map(level), [None; 6]);
    }

    #[test]
    fn the_built_in_levels_are_left_below_where_they_are_entered() {
        let workload = Workload::default();
        for controller in &workload.controllers {
            for pair in controller.bounds.windows(2) {
                assert!(
                    pair[1].falls_under < pair[0].rises_over && pair[0].rises_over < pair[1].rises_over,
                    "{pair:?}"
                );
            }
        }
        let cpu = &workload.controllers[0].bounds;
        assert_eq!((cpu[0].rises_over, cpu[8].rises_over, cpu[9].rises_over), (10, 90, 110));
        assert_eq!((cpu[0].falls_under, cpu[5].falls_under), (0, 49));
    }
}
