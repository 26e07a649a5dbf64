//! A settings file in a home folder: read strictly, checked, and made once. What is in it is the business
//! of its owner, [`crate::config`] or [`crate::portal::config`].

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::path::Path;

/// The settings of a role.
pub trait Settings: Serialize + DeserializeOwned {
    /// Name of the file in the home folder.
    const FILE: &'static str;
    /// The command that makes it.
    const MADE_BY: &'static str;

    /// Refuses what no role can run with.
    fn check(&self) -> anyhow::Result<()>;

    /// Reads and checks `home/FILE`.
    fn load(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(Self::FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            let (path, command) = (path.display(), Self::MADE_BY);
            format!("{path}: 读取失败，请先运行 {command} / cannot be read; run `{command}` first")
        })?;
        let settings: Self =
            serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Writes the file; an existing one is not overwritten.
    fn create(&self, home: &Path) -> anyhow::Result<()> {
        self.check()?;
        let path = home.join(Self::FILE);
        let mut file = std::fs::File::create_new(&path)
            .with_context(|| format!("{}: 已存在或无法创建 / exists already or cannot be made", path.display()))?;
        let text = serde_json::to_string_pretty(self).expect("settings have string keys");
        writeln!(file, "{text}").and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
    }
}

/// Is this an address that a page can link to and to which paths can be appended?
pub fn check_address(name: &str, url: &str) -> anyhow::Result<()> {
    if !(url.starts_with("http://") || url.starts_with("https://")) || url.ends_with('/') {
        bail!(
            "{name} `{url}` 须以 http:// 或 https:// 开头且不以 / 结尾 / must start with http:// or https:// and not end with /"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Config;
    use crate::portal::config::PortalConfig;

    fn refusal<T: Settings>(home: &Path) -> String {
        format!("{:#}", T::load(home).err().unwrap())
    }

    #[test]
    fn a_file_that_is_missing_or_malformed_or_wrong_is_refused_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        assert!(refusal::<Config>(home.path()).contains("run `qz-gateway admin init` first"));
        assert!(refusal::<PortalConfig>(home.path()).contains("run `qz-gateway admin portal-init` first"));
        std::fs::write(home.path().join("portal.json"), r#"{"listen":"127.0.0.1:1","organisation":"court","x":1}"#)
            .unwrap();
        let text = refusal::<PortalConfig>(home.path());
        assert!(text.contains("portal.json") && text.contains("unknown field"), "{text}");
        let wrong = r#"{"listen":"127.0.0.1:1","organisation":"court","register_url":"ftp://x"}"#;
        std::fs::write(home.path().join("portal.json"), wrong).unwrap();
        assert!(refusal::<PortalConfig>(home.path()).contains("register_url `ftp://x`"));
    }

    #[test]
    fn what_was_made_is_read_and_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let text = r#"{"listen":"127.0.0.1:1","organisation":"court"}"#;
        let settings: PortalConfig = serde_json::from_str(text).unwrap();
        settings.create(home.path()).unwrap();
        assert_eq!(PortalConfig::load(home.path()).unwrap(), settings);
        assert!(settings.create(home.path()).is_err());
    }
}
