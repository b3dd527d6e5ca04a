import Bytes
import JSON

/// Puts the configuration together: flags before environment before file before defaults.
struct ConfigurationReader {
    /// What was asked for on the command line besides settings.
    struct Result {
        var configuration: Configuration
        /// Arguments that are no settings, in order.
        var arguments: [String]
        var printsConfiguration = false
        var wantsHelp = false
        var configurationFile: SecretFile?
    }

    /// Words after the command that are not understood: exit code 64.
    struct UsageError: Error, CustomStringConvertible {
        let description: String
    }

    let environment: [String: String]
    let readFile: (String) throws(ConfigurationError) -> [UInt8]

    /// - Parameter arguments: the command line after the command.
    func read(_ arguments: [String]) throws -> Result {
        var flags: [(Setting, String)] = []
        var configurationFile = environment["QM_CONFIG"]
        var result = Result(configuration: Configuration(), arguments: [])
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else {
                if argument == "-h" { result.wantsHelp = true } else { result.arguments.append(argument) }
                continue
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            switch name {
            case "help": result.wantsHelp = true
            case "print-config": result.printsConfiguration = true
            case "config": configurationFile = try value(parts, &rest, argument)
            default:
                guard let setting = Setting.all.first(where: { $0.name == name }) else {
                    throw UsageError(description: "there is no flag --\(name)")
                }
                let text =
                    setting.value == nil
                    ? (parts.count == 2 ? String(parts[1]) : "") : try value(parts, &rest, argument)
                flags.append((setting, text))
            }
        }
        if let configurationFile {
            result.configurationFile = try applyFile(configurationFile, to: &result.configuration)
        }
        for setting in Setting.all {
            guard let text = environment[setting.environmentName], !text.isEmpty else { continue }
            try apply(setting, text, as: setting.environmentName, to: &result.configuration)
        }
        for (setting, text) in flags { try apply(setting, text, as: "--\(setting.name)", to: &result.configuration) }
        return result
    }

    private func value(_ parts: [Substring], _ rest: inout ArraySlice<String>, _ argument: String) throws -> String {
        if parts.count == 2 { return String(parts[1]) }
        guard let next = rest.popFirst() else { throw UsageError(description: "\(argument) needs a value") }
        return next
    }

    private func apply(
        _ setting: Setting, _ text: String, as name: String, to configuration: inout Configuration
    ) throws(ConfigurationError) {
        do { try setting.read(text, &configuration) } catch {
            throw ConfigurationError("\(name) \(error.description)")
        }
    }

    private func applyFile(
        _ path: String, to configuration: inout Configuration
    ) throws(ConfigurationError) -> SecretFile {
        let value: JSONValue
        let bytes = try readFile(path)
        do { value = try bytes.withByteView { try JSONValue(parsing: $0) } } catch {
            throw ConfigurationError("\(path): \(error)")
        }
        guard case .object(let members) = value else { throw ConfigurationError("\(path): must hold a JSON object") }
        var file = SecretFile(path: path)
        for member in members {
            let (name, value) = (member.key, member.value)
            if Setting.secrets.contains(name) { file.holdsSecret = true }
            guard let setting = Setting.all.first(where: { $0.name == name }) else {
                throw ConfigurationError("\(path): there is no setting \(name)")
            }
            try apply(setting, try text(value, path, name), as: "\(path): \(name)", to: &configuration)
        }
        return file
    }

    private func text(_ value: JSONValue, _ path: String, _ name: String) throws(ConfigurationError) -> String {
        switch value {
        case .string(let text): return text
        case .int(let number): return String(number)
        case .bool(let flag): return String(flag)
        case .array(let elements):
            var texts: [String] = []
            for element in elements { texts.append(try text(element, path, name)) }
            return texts.joined(separator: ",")
        default: throw ConfigurationError("\(path): \(name) must be text, a number, true, false or a list")
        }
    }
}
