import Bytes
import EventLoops
import Glibc
import JSON

/// The program behind main.swift.
enum Program {
    /// Runs a command line and returns the exit code: 0 good, 1 not every answer was as expected, 64 usage.
    static func run(_ arguments: [String]) -> Int32 {
        Signals.block([])
        do throws(any Error) {
            switch try Command.parse(arguments) {
            case .help:
                say(Command.helpText)
                return 0
            case .setup(let target, let token):
                for line in try RuleSetup.apply(to: target, token: token) { say(line + "\n") }
                return 0
            case .setupStock(let target, let token, let keys):
                for line in try StockSetup.apply(to: target, token: token, keys: keys) { say(line + "\n") }
                return 0
            case .run(let options): return run(options)
            case .naiveStock(let options): return run(options)
            case .table(let files, let json): return try table(files, json)
            case .mixed(let options): return try run(options)
            case .check(let options): return try run(options)
            case .idle(let options): return try run(options)
            }
        } catch let error as UsageError {
            complain("\(error)\nLoadTest help says more.\n")
            return 64
        } catch {
            complain("\(error)\n")
            return 1
        }
    }

    private static func run(_ options: RunOptions) -> Int32 {
        let workload = Workload(
            options.workload, host: options.target.host, keys: options.keys, seed: options.seed, path: options.path,
            token: options.token)
        let loop = EventLoop()
        let run = LoadRun(loop: loop, options: options, workload: workload)
        loop.run { run.start() }
        return show(run.result, asJSON: options.printsJSON)
    }

    private static func run(_ options: NaiveStockOptions) -> Int32 {
        let loop = EventLoop()
        let run = NaiveStockRun(loop: loop, options: options)
        loop.run { run.start() }
        return show(run.result, asJSON: options.printsJSON)
    }

    private static func show(_ result: RunResult, asJSON: Bool) -> Int32 {
        if asJSON {
            let buffer = ByteBuffer()
            result.write(to: buffer)
            say(buffer.view.string + "\n")
        } else {
            say(result.report)
        }
        if asJSON, !result.isGood { complain(result.report) }
        return result.isGood ? 0 : 1
    }

    private static func table(_ files: [String], _ json: String?) throws -> Int32 {
        var runs: [RunResult] = []
        for file in files {
            guard let text = readFile(file) else { throw UsageError(description: "\(file) cannot be read") }
            for line in text.split(separator: "\n") {
                guard let value = String(line).withByteView({ try? JSONValue(parsing: $0) }),
                    let run = RunResult(json: value)
                else { throw UsageError(description: "\(file) has a line that is no result: \(line)") }
                runs.append(run)
            }
        }
        let table = Table(runs)
        say(table.text)
        if let json {
            let buffer = ByteBuffer()
            table.write(to: buffer)
            try save(buffer.view.string, json)
        }
        return 0
    }

    static func say(_ text: String) { text.withByteView { emit($0, 1) } }

    private static func complain(_ text: String) { text.withByteView { emit($0, 2) } }

    static func emit(_ bytes: ByteView, _ descriptor: Int32) {
        var rest = bytes
        while !rest.isEmpty {
            let written = write(descriptor, rest.base, rest.count)
            if written > 0 { rest = rest.dropFirst(written) } else if errno != EINTR { return }
        }
    }
}
