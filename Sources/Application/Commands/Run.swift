import Bytes
import EventLoops
import Glibc
import Services
import Telemetry

/// Runs one command line and returns how the process is to end.
///
/// - Parameters:
///   - services: the services that this executable has.
///   - filters: command lines that answer each line of standard input with one line, by what they do with it.
///   - arguments: the whole command line, the program's name first.
public func run(
    services: [ServiceDefinition], filters: [String: (String) -> String] = [:], arguments: [String]
) -> ExitCode {
    var rest = Array(arguments.dropFirst())
    let command = rest.isEmpty ? "help" : rest.removeFirst()
    do {
        switch command {
        case "help", "--help", "-h": return show(Help.text)
        case "version", "--version": return show(Help.version)
        case "serve", "work", "dev", "check-config":
            // Before any thread is started, so that none is left that a signal would end.
            Signals.block([SIGTERM, SIGINT])
            let result = try reader().read(rest)
            if result.wantsHelp { return show(Help.text) }
            if let word = result.arguments.first {
                throw UsageError(description: "\(command) takes no argument: \(word)")
            }
            return try ServeCommand(command: command, result: result, services: services).run()
        case _ where filters[arguments.dropFirst().joined(separator: " ")] != nil:
            return filter(filters[arguments.dropFirst().joined(separator: " ")]!)
        case _ where ServiceCommand.isFirstWord(command):
            return try ServiceCommand.run([command] + rest)
        default: throw UsageError(description: "there is no command \(command)")
        }
    } catch let error as UsageError {
        Output.note("quartermaster: \(error); see quartermaster help")
        return .usage
    } catch let error as ConfigurationError {
        Output.note("quartermaster: \(error)")
        return .configuration
    } catch let error as Server.StartError {
        Output.note("quartermaster: \(error)")
        return error.exitCode
    } catch let error as CommandFailure {
        Output.note("quartermaster: \(error)")
        return .failure
    } catch {
        Output.note("quartermaster: \(error)")
        return .software
    }
}

func reader() -> ConfigurationReader {
    var environment: [String: String] = [:]
    var entry = environ
    while let pointer = entry.pointee {
        let parts = String(cString: pointer).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, parts[0].hasPrefix("QM_") { environment[String(parts[0])] = String(parts[1]) }
        entry += 1
    }
    return ConfigurationReader(environment: environment) { path throws(ConfigurationError) in try Files.read(path) }
}

/// Answers each line of standard input as it comes, until its end.
private func filter(_ answer: (String) -> String) -> ExitCode {
    while let line = readLine() {
        guard Output.line(answer(line)) else { return .failure }
    }
    return .success
}

private func show(_ text: String) -> ExitCode {
    Output.line(text)
    return .success
}
