/** The config from all its sources. */
import { assembleConfig, type ConfigSources, type LoadedConfig } from './assemble.js';
import { readConfigFile } from './file.js';

export { type ConfigSources, DEFAULT_CONFIG_PATH, type LoadedConfig } from './assemble.js';

/** @throws ERR_CONFIG_UNREADABLE, ERR_CONFIG_SYNTAX, ERR_CONFIG_KEY, ERR_CONFIG_VALUE */
export function loadConfig(sources: ConfigSources = {}): LoadedConfig {
  return assembleConfig(sources, readConfigFile);
}
