/**
 * Variables that decide which code a program runs before, or instead of, its own, or that a shell
 * owns and does not let be set. Whoever may write a secret must not thereby run code in agents.
 * Tokens that merely share a prefix with a runtime (DENO_DEPLOY_TOKEN) are not among them.
 */
const NAMES = new Set([
  // Who and where a process is, and which programs it finds.
  ...["PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD", "OLDPWD", "TMPDIR", "CDPATH", "TERM"],
  ...["TERMCAP", "TERMINFO", "TERMINFO_DIRS", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"],
  ...["XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"],
  // Shells: start-up files, options, prompts that are evaluated.
  ...[
    "IFS",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "FPATH",
  ],
  ...["EXECIGNORE", "GLOBIGNORE", "FIGNORE", "HISTFILE", "INPUTRC", "POSIXLY_CORRECT", "MAILPATH"],
  // Shells: variables that they keep read-only or compute.
  ...["UID", "EUID", "PPID", "GROUPS", "DIRSTACK", "FUNCNAME", "PIPESTATUS", "RANDOM", "SRANDOM"],
  ...["SECONDS", "LINENO", "HISTCMD", "EPOCHSECONDS", "EPOCHREALTIME", "OPTIND", "OPTARG"],
  ...["OPTERR", "REPLY", "SHLVL"],
  // The C library (what ld.so drops for set-user-ID programs).
  ...["GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH"],
  ...["NIS_PATH", "NLSPATH", "RESOLV_HOST_CONF", "RES_OPTIONS", "TZDIR"],
  // Language runtimes.
  ...[
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "NODE_V8_COVERAGE",
    "NODE_ICU_DATA",
  ],
  ...[
    "NODE_REDIRECT_WARNINGS",
    "NODE_CHANNEL_FD",
    "BUN_OPTIONS",
    "BUN_INSPECT",
    "BUN_INSPECT_PRELOAD",
  ],
  ...["DENO_DIR", "DENO_FLAGS", "DENO_V8_FLAGS", "DENO_PERMISSION_BROKER_PATH", "TS_NODE_PROJECT"],
  ...["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "PYTHONUSERBASE"],
  ...["PYTHONPLATLIBDIR", "PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONBREAKPOINT", "PYTHONCASEOK"],
  ...["PYTHONPYCACHEPREFIX", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONDEVMODE", "PYTHON_HISTORY"],
  ...["PYTHON_BASIC_REPL", "PYTHON_PRESITE", "VIRTUAL_ENV"],
  ...["PERL5OPT", "PERL5LIB", "PERLLIB", "PERL5DB", "PERL5SHELL", "PERLIO", "PERL_UNICODE"],
  ...["RUBYOPT", "RUBYLIB", "RUBYSHELL", "RUBYPATH", "BUNDLE_GEMFILE", "GEM_HOME", "GEM_PATH"],
  ...[
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "JAVA_OPTS",
    "JAVA_OPTIONS",
    "JAVA_HOME",
    "CLASSPATH",
  ],
  ...["IBM_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS", "JDK_JAVAC_OPTIONS", "MAVEN_OPTS", "GRADLE_OPTS"],
  ...["SBT_OPTS", "ANT_OPTS", "CATALINA_OPTS", "KOTLIN_HOME", "GROOVY_HOME"],
  ...["DOTNET_STARTUP_HOOKS", "DOTNET_ADDITIONAL_DEPS", "DOTNET_SHARED_STORE", "DOTNET_ROOT"],
  ...["COR_PROFILER", "COR_PROFILER_PATH", "COR_ENABLE_PROFILING", "COMPLUS_VERSION", "MONO_PATH"],
  ...["PHPRC", "PHP_INI_SCAN_DIR", "LUA_PATH", "LUA_CPATH", "TCLLIBPATH", "OCAMLRUNPARAM"],
  ...["GOFLAGS", "GODEBUG", "GOROOT", "GOTOOLCHAIN", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_HOME"],
  ...[
    "ERL_FLAGS",
    "ERL_AFLAGS",
    "ERL_ZFLAGS",
    "ERL_LIBS",
    "ELIXIR_ERL_OPTIONS",
    "R_HOME",
    "R_LIBS",
  ],
  ...["R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER", "JULIA_LOAD_PATH"],
  ...["JULIA_DEPOT_PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSLKEYLOGFILE"],
  // Commands that other programs start.
  ...["EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "SSH_ASKPASS"],
  ...["GIT_SSH", "GIT_SSH_COMMAND", "GIT_EXEC_PATH", "GIT_PROXY_COMMAND", "GIT_EXTERNAL_DIFF"],
  ...["GIT_TEMPLATE_DIR", "GIT_ASKPASS", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER"],
  ...["SUDO_ASKPASS", "SUDO_EDITOR", "SVN_SSH", "RSYNC_RSH", "CVS_RSH", "FCEDIT", "MAKEFLAGS"],
  ...["MFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "CC", "CXX", "WGETRC", "CURL_HOME", "KRB5_CONFIG"],
  ...["GTK_MODULES", "QT_PLUGIN_PATH", "VIMINIT", "EXINIT", "MYVIMRC", "SCREENRC", "TMUX_TMPDIR"],
]);

const PREFIXES = [
  ...["LD_", "DYLD_", "BASH_", "MALLOC_", "LUA_INIT", "LUA_PATH_", "LUA_CPATH_", "CORECLR_"],
  ...["GIT_CONFIG", "GIT_TRACE", "COMPLUS_"],
];

/** Whether a variable of this name changes how programs start. */
export function changesProgramStart(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}
