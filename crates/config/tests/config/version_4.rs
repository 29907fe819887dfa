//! Files of version 4, and those beside the roles' files, in both versions' forms.

use std::time::Duration;

use lampyris_config::{LoadInput, LoadLevel, LoadOptions, Loaded, LogLevel, Severity, Subject};

use crate::common::{Deployment, LOAD_BALANCER, LOG4NET, PLUGIN, WORKLOAD, text_of};

const MAIN: &str = "deploy/bin_Win64/PhotonServer.config";

fn load_v4() -> Loaded {
    Deployment::of_folder("v4-roles").load_from(MAIN, LoadOptions::default())
}

#[test]
fn a_deployment_of_version_4_loads_without_a_warning_whatever_the_case_of_its_folders() {
    let loaded = load_v4();
    let told = text_of(&loaded);
    assert!(loaded.worst().is_none_or(|worst| worst == Severity::Note), "{told}");
    let config = loaded.config.unwrap();
    assert_eq!((config.instance.name.as_str(), config.instance.settings.max_message_size), ("Arena", 256_000));
    assert_eq!(config.instance.log.unwrap().prefix, "Photon-Arena");
}

#[test]
fn settings_of_version_4_hold_under_their_new_names() {
    let config = load_v4().config.unwrap();
    let names = config.name_server.unwrap();
    assert_eq!(names.settings.master_port_udp.0, 5155);
    assert_eq!(names.regions[0].region, "eu");
    assert_eq!(names.authentication.token_expiration.get(), Duration::from_secs(1800));
    assert_eq!(names.authentication.token_key.unwrap().expose(), "the-token-key");
    assert!(names.custom_auth.enabled && !names.custom_auth.allow_anonymous);
    assert_eq!(names.auth_queue.reconnect_interval.get(), Duration::from_secs(45), "seconds in version 4");
    assert_eq!(names.auth_queue.http_request_timeout.get(), Duration::from_secs(20));
    assert_eq!(names.auth_providers[0].parameters[0].0, "apikey");
    let master = config.master.unwrap();
    assert_eq!(master.settings.lobby_stats_publish_interval.get(), Duration::from_secs(60));
    assert_eq!(master.settings.max_games_on_join, 250);
    assert_eq!(master.web_rpc.base_url.as_deref(), Some("https://rpc.example.org/"));
    let game = config.game_server.unwrap();
    assert_eq!(game.settings.connect_retry_interval.get(), Duration::from_secs(7));
    assert_eq!(game.settings.public_host_name, "play.example.org");
    assert_eq!(game.settings.cache_events, 2_000);
    assert_eq!(
        game.settings.max_empty_room_ttl.get(),
        Duration::from_secs(60),
        "the Master's copy is not the game server's"
    );
    assert_eq!(game.http_queue.queue_timeout.get(), Duration::from_secs(50));
    assert!(!game.web_rpc.enabled);
}

#[test]
fn load_levels_and_weights_are_read_in_both_forms() {
    let config = load_v4().config.unwrap();
    let workload = config.game_server.unwrap().workload;
    let cpu = &workload.controllers[0];
    let bounds: Vec<_> =
        cpu.bounds.iter().map(|bound| (bound.level.number(), bound.rises_over, bound.falls_under)).collect();
    assert_eq!((cpu.input, bounds), (LoadInput::CpuUsage, vec![(0, 30, 0), (4, 60, 25), (9, 100, 60)]));
    assert_eq!(workload.controllers[1].input, LoadInput::PeerCount, "the name of the item does not matter");
    let balancer = config.master.unwrap().load_balancer;
    assert_eq!(balancer.weights, [40, 17, 15, 13, 11, 9, 7, 5, 3, 1]);
    assert_eq!(balancer.settings.value_up.number(), 8);
    assert!((balancer.settings.reserve_ratio.0 - 0.25).abs() < 1e-9);

    let mut v5 = Deployment::v5();
    v5.put(
        WORKLOAD,
        "<root><FeedbackControlSystem><FeedbackControllers><Controller Name=\"OutOfRotation\"><FeedbackLevels>\
         <Level name=\"Level1\" Level=\"Level1\" Value=\"1\"/></FeedbackLevels></Controller></FeedbackControllers>\
         </FeedbackControlSystem></root>",
    );
    v5.put(
        LOAD_BALANCER,
        "<root><LoadBalancer><LoadBalancerWeights><Level Level=\"Lowest\" Value=\"9\"/></LoadBalancerWeights></LoadBalancer></root>",
    );
    let loaded = v5.load(LoadOptions::default());
    assert_eq!(text_of(&loaded), "");
    let config = loaded.config.unwrap();
    assert_eq!(config.game_server.unwrap().workload.controllers[0].initial_level, LoadLevel::LOWEST);
    assert_eq!(config.master.unwrap().load_balancer.weights[0], 9);
}

#[test]
fn log_levels_are_read_and_appenders_are_told_to_have_no_effect() {
    let loaded = load_v4();
    assert!(text_of(&loaded).contains("log4net.config:2:4: note: appenders have no effect"), "{}", text_of(&loaded));
    let levels = loaded.config.unwrap().game_server.unwrap().log_levels;
    let loggers: Vec<_> = levels.loggers.iter().map(|one| (one.name.as_str(), one.level)).collect();
    assert_eq!(levels.root, Some(LogLevel::Info));
    assert_eq!(loggers, [("OperationData", LogLevel::Debug), ("Photon.SocketServer", LogLevel::Warn)]);
    let mut v5 = Deployment::v5();
    v5.put(LOG4NET, "<log4net><root><level value='ALL'/></root></log4net>");
    let config = v5.load(LoadOptions::default()).config.unwrap();
    assert_eq!(config.game_server.unwrap().log_levels.root, Some(LogLevel::Trace));
}

#[test]
fn plugins_are_refused_unless_they_are_off_web_hooks_or_to_be_ignored() {
    let with = |enabled: bool, class: &str, ignore_plugins: bool| {
        let mut deployment = Deployment::v5();
        let text = format!(
            "<root><PluginSettings Enabled=\"{enabled}\"><Plugins><Plugin Name=\"A\" Type=\"{class}\" BaseUrl=\"hidden\"/>\
             </Plugins></PluginSettings></root>"
        );
        deployment.put(PLUGIN, text);
        deployment.load(LoadOptions { ignore_plugins, ..LoadOptions::default() })
    };
    assert_eq!(text_of(&with(false, "Own.Factory", false)), "");
    let hooks = with(true, "Photon.Hive.Plugin.WebHooks.PluginFactory", false);
    assert!(hooks.config.unwrap().game_server.unwrap().plugins[0].is_web_hooks());
    assert_eq!(hooks.findings[0].subject, Subject::Unsupported);
    let refused = with(true, "Own.Factory", false);
    assert!(refused.config.is_none());
    let told = text_of(&refused);
    assert!(told.contains("\"Own.Factory\" cannot be loaded") && told.contains("--ignore-plugins"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
    assert_eq!(with(true, "Own.Factory", true).worst(), Some(Severity::Warning));
}

#[test]
fn token_keys_that_everyone_knows_are_told_without_being_shown() {
    let mut deployment = Deployment::of_folder("v4-roles");
    for bytes in deployment.0.values_mut() {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        *bytes = text.replace("the-token-key", "76b2814e-2a50-4e29-838a-20411d335fc9").into_bytes();
    }
    let loaded = deployment.load_from(MAIN, LoadOptions::default());
    let told = text_of(&loaded);
    let known = loaded.findings.iter().filter(|one| one.subject == Subject::Secret);
    assert_eq!(known.count(), 3, "{told}");
    assert!(!told.to_lowercase().contains("2a50"), "{told}");
    assert!(loaded.config.unwrap().master.unwrap().authentication.has_known_key());
}
