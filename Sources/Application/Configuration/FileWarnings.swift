import Glibc

/// Files whose modes let every user of the machine do what only we should.
enum FileWarnings {
    struct Warning {
        let words: StaticString
        let path: String
    }

    static func of(_ configuration: Configuration, configurationFile: SecretFile?) -> [Warning] {
        var secrets = [configuration.redisFile, configuration.serviceSettings["webhook-secrets"]].compactMap { $0 }
        if let configurationFile, configurationFile.holdsSecret { secrets.append(configurationFile.path) }
        var warnings = secrets.filter { mayOthers($0, S_IROTH | S_IWOTH) }.map { path in
            Warning(words: "a file that holds a secret can be read by every user; chmod 600", path: path)
        }
        if let path = configuration.tokensFile, mayOthers(path, S_IWOTH) {
            warnings.append(Warning(words: "the tokens file can be changed by every user; chmod 644", path: path))
        }
        if let path = configuration.dataDirectory, mayOthers(path, S_IROTH | S_IWOTH | S_IXOTH) {
            warnings.append(Warning(words: "the data directory can be entered by every user; chmod 700", path: path))
        }
        return warnings
    }

    private static func mayOthers(_ path: String, _ rights: mode_t) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFIFO && status.st_mode & rights != 0
    }
}

/// The file of `--config`.
struct SecretFile {
    let path: String
    /// Whether it says what should be nobody else's to read.
    var holdsSecret = false
}
