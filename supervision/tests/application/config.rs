//! What an application is configured with: which layer wins, and what is said of a wrong one.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use biotope_runtime::{Process, Result, node};
use biotope_supervision::{App, ConfigError, Env, LoadError, Secret, StartAppError, UnloadError};
use serde::{Deserialize, Serialize};

use crate::support::*;
use crate::tools::*;

/// A file below the target directory, which is this test's.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the target directory can be written to");
    path
}

/// On the real scheduler: seeds have no files.
fn with_files<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    biotope_testkit::on_threads(std::any::type_name::<F>(), || in_process(body.clone()));
}

#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
struct Shop {
    #[serde(default)]
    name: String,
    http: Http,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    patience: Option<Duration>,
    #[serde(default, skip_serializing)]
    password: Secret<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
struct Http {
    #[serde(default)]
    host: String,
    port: u16,
}

#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Open,
    HalfOpen,
}

/// The configuration of `app`, once it is loaded.
async fn env_of(app: App) -> Result<Env> {
    let applications = node().applications();
    let name = app.name().to_owned();
    applications.load(app).await?;
    let env = applications.env(&name).await.expect("it is loaded");
    applications.unload(&name).await?;
    Ok(env)
}

/// What is said of `app`, which cannot be loaded.
async fn refusal_of(app: App) -> String {
    match node().applications().load(app).await {
        Err(LoadError::Config { error, .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn app_06_a_later_layer_wins() {
    with_files(|mut me| async move {
        let before = Before::now();
        let path = file("layers.toml", "[shop]\nk = 2\n");
        let layers = [
            App::new("shop").default("k", 1),
            App::new("shop").default("k", 1).config_file(&path),
            App::new("shop").default("k", 1).config_file(&path).environment([("SHOP_K", "3")]),
            App::new("shop").set("k", 4).config_file(&path).environment([("SHOP_K", "3")]).default("k", 1),
        ];
        for (layer, expected) in layers.into_iter().zip(1..) {
            let env = env_of(layer).await?;
            assert_eq!(env.get::<u32>("k")?, Some(expected));
            assert_eq!(env.get_or("missing", 9)?, 9);
            assert_eq!(env.get::<u32>("missing")?, None);
            assert_eq!(env.get::<u32>("k.deeper")?, None);
        }
        before.is_restored(&mut me).await
    });
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Lounge {
    max_rooms: u32,
    api_key: Secret<String>,
}

#[test]
fn app_06_a_later_layer_wins_however_it_spells_a_key() {
    with_files(|_me| async move {
        let path = file("kebab.toml", "[lounge]\nmax-rooms = 2\napi-key = 'hunter2'\n");
        let below = || App::new("lounge").default("max-rooms", 1).default("api-key", "hunter1").config::<Lounge>();
        let variables = [("LOUNGE_MAX_ROOMS", "3"), ("LOUNGE_API_KEY", "hunter3")];
        let alone = || App::new("lounge").config::<Lounge>().environment(variables);
        let layers = [
            (alone(), 3),
            (below().environment(variables), 3),
            (below().config_file(&path).environment(variables), 3),
            (alone().config_file(&path), 3),
            (below().config_file(&path).environment(variables).set("max-rooms", 4).set("api-key", "hunter4"), 4),
            (alone().set("max_rooms", 4).set("api_key", "hunter4"), 4),
        ];
        for (layer, expected) in layers {
            let env = env_of(layer).await?;
            let key = Secret::new(format!("hunter{expected}"));
            assert_eq!(env.config::<Lounge>()?, Lounge { max_rooms: expected, api_key: key.clone() });
            for spelling in ["max-rooms", "max_rooms"] {
                assert_eq!(env.get(spelling)?, Some(expected));
            }
            assert_eq!(env.get("api-key")?, Some(key));
            assert!(!format!("{env:?}").contains("hunter"), "{env:?}");
        }
        Ok(())
    });
}

#[test]
fn app_06_what_is_set_later_wins_however_it_spells_a_key() {
    everywhere(|_me| async move {
        let applications = node().applications();
        applications.set_env_persistent("lounge", "max_rooms", 7).await?;
        applications.load(App::new("lounge").default("max-rooms", 1).secret("api_key")).await?;
        let env = applications.env("lounge").await.expect("it is loaded");
        assert_eq!(env.get("max-rooms")?, Some(7));
        applications.set_env("lounge", "api-key", "hunter2").await?;
        assert_eq!(
            format!("{env:?}"),
            "Env(lounge: api-key = *** (set by the program), max-rooms = 7 (set by the program))"
        );
        applications.unload("lounge").await?;
        let controller = node().whereis("application_controller").expect("it keeps what lasts");
        node().exit(controller, biotope_runtime::ExitReason::Shutdown);
        Ok(())
    });
}

#[test]
fn app_06_an_error_spells_a_key_as_it_is_known() {
    with_files(|_me| async move {
        let lounge = || App::new("lounge").config::<Lounge>();
        let text = refusal_of(lounge().environment([("LOUNGE_MAX_ROOMS", "many")])).await;
        assert_eq!(text, "environment variable LOUNGE_MAX_ROOMS: `max-rooms`: expected u32, found string \"many\"");
        let text = refusal_of(lounge().environment([("LOUNGE_API_KEY", "a")])).await;
        assert_eq!(text, "`max-rooms` is missing: say it in the section `[lounge]` of a file, or as LOUNGE_MAX_ROOMS");
        let path = file("twice.toml", "[lounge]\nmax-rooms = 2\nmax_rooms = 3\n");
        let text = refusal_of(lounge().config_file(&path)).await;
        let at = path.display();
        assert_eq!(text, format!("{at}:3:1: `max_rooms`: it is said as `max-rooms` as well ({at}:2:1)"));
        Ok(())
    });
}

#[test]
fn app_06_a_section_for_each_application_and_the_later_of_two_files() {
    with_files(|_me| async move {
        let first = file("first.toml", "[shop]\nname = 'corner'\n[shop.http]\nport = 80\n[store]\nsize = 3\n");
        let second = file("second.toml", "[shop.http]\nport = 81\n");
        let store = App::new("store").default("size", 1);
        let shop = App::new("shop").needs(store).config_file(&first).config_file(&second).config::<Shop>();
        let shop = shop.config_file_if_any("there/is/no/such.toml");
        let applications = node().applications();
        applications.load(shop).await?;
        let (shop, store) = (applications.env("shop").await.unwrap(), applications.env("store").await.unwrap());
        assert_eq!(shop.config::<Shop>()?.http.port, 81);
        assert_eq!(shop.config::<Shop>()?.name, "corner");
        assert_eq!(store.get::<u32>("size")?, Some(3));
        applications.unload("shop").await?;
        applications.unload("store").await?;
        Ok(())
    });
}

#[test]
fn app_06_every_kind_of_value_is_read_from_each_layer() {
    everywhere(|_me| async move {
        let variables = [
            ("SHOP_NAME", "12"),
            ("SHOP_HTTP__PORT", "8080"),
            ("SHOP_HTTP__HOST", "::1"),
            ("SHOP_TAGS", "a, b"),
            ("SHOP_MODE", "half-open"),
            ("SHOP_PATIENCE", "1.5s"),
            ("SHOP_PASSWORD", "hunter2"),
        ];
        let env = env_of(App::new("shop").environment(variables).config::<Shop>()).await?;
        let expected = Shop {
            name: "12".into(),
            http: Http { host: "::1".into(), port: 8080 },
            tags: vec!["a".into(), "b".into()],
            mode: Mode::HalfOpen,
            patience: Some(Duration::from_millis(1500)),
            password: Secret::new("hunter2".into()),
        };
        assert_eq!(env.config::<Shop>()?, expected);
        let env = env_of(App::new("shop").defaults(&expected).set("patience", "2min")).await?;
        assert_eq!(env.config::<Shop>()?.mode, Mode::HalfOpen);
        assert_eq!(env.get::<Duration>("patience")?, Some(Duration::from_secs(120)));
        Ok(())
    });
}

#[test]
fn app_06_what_is_wrong_is_said_with_its_place_and_what_is_allowed() {
    with_files(|_me| async move {
        let shop = || App::new("shop").config::<Shop>().set("http.port", 1);
        let path = file("wrong.toml", "[shop]\nname = 'corner'\n\n[shop.http]\nprot = 80\n");
        let at = path.display();
        let text = refusal_of(shop().config_file(&path)).await;
        assert_eq!(text, format!("{at}:5:1: nothing is called `http.prot`, did you mean `port`?; allowed: host, port"));

        let path = file("wrong.toml", "[shop]\nname = 12\n");
        let text = refusal_of(shop().config_file(&path)).await;
        assert_eq!(text, format!("{at}:2:1: `name`: expected a string, found integer `12`"));

        let path = file("wrong.toml", "[shop]\nmode = 'shut'\n");
        let text = refusal_of(shop().config_file(&path)).await;
        assert_eq!(text, format!("{at}:2:1: `mode`: unknown variant `shut`, expected `open` or `half-open`"));

        let path = file("wrong.toml", "[shop]\ntags = ['a', 2]\n");
        let text = refusal_of(shop().config_file(&path)).await;
        assert_eq!(text, format!("{at}:2:14: `tags.1`: expected a string, found integer `2`"));

        let path = file("wrong.toml", "[shop]\npatience = '5 weeks'\n");
        let text = refusal_of(shop().config_file(&path)).await;
        let allowed = "a number with one of the units ns, us, ms, s, min, h, as in \"1.5s\"";
        assert_eq!(text, format!("{at}:2:1: `patience`: expected {allowed}, found string \"5 weeks\""));

        let path = file("wrong.toml", "[shpo]\nname = 'corner'\n");
        let text = refusal_of(shop().needs("store").config_file(&path)).await;
        assert_eq!(
            text,
            format!("{at}:1:2: nothing is called `shpo`, did you mean `[shop]`?; allowed: [shop], [store]")
        );

        let path = file("wrong.toml", "[shop]\nname = = 1\n");
        let text = refusal_of(shop().config_file(&path)).await;
        assert!(text.starts_with(&format!("{at}:2:8: ")), "{text}");

        let text = refusal_of(shop().config_file("there/is/no/such.toml")).await;
        assert!(text.starts_with("there/is/no/such.toml: No such file"), "{text}");
        Ok(())
    });
}

#[test]
fn app_06_the_environment_and_the_program_are_named_too() {
    everywhere(|_me| async move {
        let shop = || App::new("shop").config::<Shop>();
        let text = refusal_of(shop().environment([("SHOP_HTTP__PORT", "eighty")])).await;
        assert_eq!(text, "environment variable SHOP_HTTP__PORT: `http.port`: expected u16, found string \"eighty\"");
        let text = refusal_of(shop().environment([("SHOP_HTTP__PORT", "70000")])).await;
        assert_eq!(text, "environment variable SHOP_HTTP__PORT: `http.port`: expected u16, found integer `70000`");
        let text = refusal_of(shop().environment([("SHOP_HTTP__PROT", "80")])).await;
        assert_eq!(
            text,
            "environment variable SHOP_HTTP__PROT: nothing is called `http.prot`, did you mean `port`?; allowed: host, port"
        );
        let text = refusal_of(shop().set("http.port", true)).await;
        assert_eq!(text, "the program: `http.port`: expected u16, found boolean `true`");
        let text = refusal_of(shop().default("http.host", "::1")).await;
        assert_eq!(
            text,
            "`http.port` is missing: say it in the section `[shop.http]` of a file, or as SHOP_HTTP__PORT"
        );
        // Whoever else uses the prefix is not our business.
        let env = env_of(shop().set("http.port", 1).environment([("SHOP_SERVICE_HOST", "10.0.0.1")])).await?;
        assert_eq!(env.config::<Shop>()?.http.port, 1);
        Ok(())
    });
}

#[test]
fn app_06_a_configuration_that_cannot_be_used_starts_nothing_and_has_an_exit_code() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let shop = telling(&stage, "shop").config::<Shop>().set("http.port", "eighty");
        let error = shop.run_until(pending()).await.unwrap_err();
        assert_eq!(error.exit_code(), 78);
        assert!(error.to_string().starts_with("configuration of `shop`: the program: `http.port`"), "{error}");

        // Also if it is read by the start only.
        let reads = telling(&stage, "shop").set("port", "eighty").start(async |env| {
            env.get::<u16>("port")?;
            unreachable!("it is no port")
        });
        let error = reads.run_until(pending()).await.unwrap_err();
        assert_eq!(error.exit_code(), 78, "{error}");
        stage.expect([]).await;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_06_secrets_are_shown_nowhere() {
    everywhere(|_me| async move {
        let shop = App::new("shop").default("db.key", "k1").default("api_token", "t1").secret("db");
        let shop = shop.set("http.port", 1).set("password", "hunter2").default("name", "corner").config::<Shop>();
        // `db` and `api_token` are no keys of it: without a type.
        let error = refusal_of(shop).await;
        assert!(error.contains("api_token"), "{error}");
        let shop =
            App::new("shop").default("db.key", "k1").default("api_token", "t1").secret("db").default("name", "corner");
        let env = env_of(shop).await?;
        let shown = format!("{env:?}");
        assert_eq!(
            shown,
            "Env(shop: api_token = *** (the defaults), db.key = *** (the defaults), name = \"corner\" (the defaults))"
        );

        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is shown only")]
        struct Pin {
            pin: Secret<u16>,
        }
        let env = env_of(App::new("shop").default("pin", 1234).config::<Pin>()).await?;
        assert_eq!(
            format!("{env:?} {:?}", env.config::<Pin>()?),
            "Env(shop: pin = *** (the defaults)) Pin { pin: *** }"
        );
        let text = refusal_of(App::new("shop").default("pin", "hunter2").config::<Pin>()).await;
        assert_eq!(text, "the defaults: `pin`: expected u16");
        Ok(())
    });
}

#[test]
fn app_06_a_list_of_secrets_is_not_shown() {
    everywhere(|_me| async move {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is shown only")]
        struct Keys {
            keys: Vec<Secret<String>>,
        }
        let env = env_of(App::new("shop").default("keys", ["hunter2"]).config::<Keys>()).await?;
        assert_eq!(format!("{env:?}"), "Env(shop: keys = *** (the defaults))");
        let error = env.get::<Vec<u16>>("keys").unwrap_err();
        assert_eq!(error.to_string(), "the defaults: `keys.0`: the secret is refused");
        Ok(())
    });
}

#[test]
fn app_07_what_is_set_before_the_load_lasts_only_if_it_is_said() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        applications.set_env("shop", "k", 7).await?;
        applications.set_env_persistent("shop", "p", 7).await?;
        let shop = App::new("shop").default("k", 1).default("p", 1);
        for _ in 0..2 {
            applications.load(shop.clone()).await?;
            let env = applications.env("shop").await.expect("it is loaded");
            assert_eq!((env.get::<u32>("k")?, env.get::<u32>("p")?), (Some(1), Some(7)));
            // Of one that is loaded, it is set until it is unloaded.
            applications.set_env("shop", "k", 8).await?;
            assert_eq!(env.get::<u32>("k")?, Some(8));
            applications.unload("shop").await?;
        }
        // What lasts, lasts as long as the controller.
        node().exit(
            node().whereis("application_controller").expect("it keeps what lasts"),
            biotope_runtime::ExitReason::Shutdown,
        );
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_09_what_runs_is_not_unloaded() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        applications.load(App::new("l").default("k", 1)).await?;
        applications.start("l").await?;
        assert_eq!(applications.unload("l").await, Err(UnloadError::Running("l".into())));
        applications.stop("l").await?;
        assert!(applications.env("l").await.is_some());
        applications.unload("l").await?;
        assert!(applications.env("l").await.is_none());
        assert_eq!(applications.unload("l").await, Err(UnloadError::NotLoaded("l".into())));
        let error = applications.start("l").await.unwrap_err();
        assert_eq!(error, StartAppError::NotLoaded { name: "l".into(), needed_by: None });
        before.is_restored(&mut me).await
    });
}

#[test]
fn a_value_that_is_none_is_refused() {
    everywhere(|_me| async move {
        let error = node().applications().load(App::new("shop").default("k", u64::MAX)).await.unwrap_err();
        let LoadError::Config { error: ConfigError::Program { key, .. }, .. } = error else { panic!("{error}") };
        assert_eq!(&*key, "k");
        let twice = BTreeMap::from([("a-b", 1), ("a_b", 2)]);
        let text = refusal_of(App::new("shop").default("k", twice)).await;
        assert_eq!(text, "the program's value of `k` cannot be configured: `a-b` and `a_b` are one key");
        Ok(())
    });
}

/// What is said of a wrong value of a key that is marked, or that is called like a secret, does not show it, whatever the type.
#[test]
fn app_06_a_wrong_secret_is_not_shown_by_its_error() {
    with_files(|_me| async move {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it cannot be read")]
        struct Wrong {
            db: u16,
            #[serde(default)]
            token: u16,
        }
        for variable in ["SHOP_DB", "SHOP_TOKEN"] {
            let app = App::new("shop").secret("db").default("db", 1).environment([(variable, "hunter2")]);
            let applications = biotope_supervision::HostApplications::applications(&node());
            applications.load(app).await?;
            let env = applications.env("shop").await.expect("it is loaded");
            let error = env.config::<Wrong>().unwrap_err().to_string();
            assert!(error.contains(variable) && !error.contains("hunter2"), "{error}");
            applications.unload("shop").await?;
        }
        Ok(())
    });
}

/// Variables of which the names are no keys are passed over.
#[test]
fn app_06_a_variable_that_names_no_key_covers_nothing() {
    with_files(|_me| async move {
        let deep = format!("SHOP_{}", vec!["A"; 20_000].join("__"));
        let odd = [("SHOP_", "x"), ("SHOP___", "x"), ("SHOP_A____B", "x"), ("SHOP___K", "x"), (deep.as_str(), "x")];
        let app = App::new("shop").default("k", 1).environment(odd);
        let applications = biotope_supervision::HostApplications::applications(&node());
        applications.load(app).await?;
        let env = applications.env("shop").await.expect("it is loaded");
        assert_eq!(env.describe(), ["k = 1 (the defaults)"]);
        applications.unload("shop").await?;
        Ok(())
    });
}
