//! The manual of the settings, `docs/settings.md`, is made from their declaration.

#[cfg(test)]
mod settings {
    use expect_test::expect_file;
    use truc_broker::settings::BrokerSettings;
    use truc_edge::settings::EdgeSettings;
    use truc_settings::{Section, Source, load, table};

    /// The table of a program; `required` is what has no default.
    fn of<S: Section>(required: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, required).unwrap();
        table(&load::<S>(&Source { file, overrides: Vec::new() }).unwrap().entries)
    }

    #[test]
    fn the_page_of_all_settings_is_made_from_the_code() {
        let broker = of::<BrokerSettings>("log_origin = \"truc.example/axis/2026\"");
        let edge = of::<EdgeSettings>("agency = \"G22\"\nbroker = \"https://broker.example:7443\"");
        let page = format!(
            "# Settings\n\nMade from the code by a test (`UPDATE_EXPECT=1 cargo test -p truc --test settings` writes it anew). `section.name` stands in the \
             table `[section]` of the file. How files, flags and reloads work: [operating.md](operating.md).\n\n## broker.toml\n\n{broker}\n## edge.toml\n\n{edge}"
        );
        expect_file![format!("{}/../../docs/settings.md", env!("CARGO_MANIFEST_DIR"))].assert_eq(&page);
    }
}
