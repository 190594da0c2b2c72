# fish completion for seedream.
#
# The part between the two marks is made from the command line itself, by
#     python scripts/write_completions.py
# Commands, options and choices stand in this file: a TAB starts seedream only where profiles,
# models or jobs are asked for.

# Says whether the words before the cursor belong to the command at a path ("providers show").
function __seedream_at
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l path ''
    for token in $tokens
        string match -q -- '-*' $token; and continue
        set -l longer (string trim -- "$path $token")
        contains -- $longer (__seedream_paths); or break
        set path $longer
    end
    test "$path" = "$argv[1]"
end

# Says whether the line is at a path and has none of the spellings of an option yet.
function __seedream_new
    __seedream_at $argv[1]; or return
    set -l tokens (commandline -opc)
    for spelling in $argv[2..-1]
        contains -- $spelling $tokens; and return 1
        string match -q -- "$spelling=*" $tokens; and return 1
    end
    return 0
end

# The same for an option that takes a value: true also where that value is being typed.
function __seedream_open
    set -l tokens (commandline -opc)
    if contains -- $tokens[-1] $argv[2..-1]
        __seedream_at $argv[1]
        return
    end
    __seedream_new $argv
end

# Prints the value that the line gives to an option, in any of its spellings.
function __seedream_said
    set -l tokens (commandline -opc)
    for i in (seq (count $tokens))
        set -l next (math $i + 1)
        contains -- $tokens[$i] $argv; and echo $tokens[$next]
        for spelling in $argv
            string match -q -- "$spelling=*" $tokens[$i]
            and string replace -- "$spelling=" '' $tokens[$i]
        end
    end
end

# Prints what seedream itself knows of a kind, as words with descriptions.
function __seedream_words
    # fish asks here for --opt<TAB> too.
    string match -qr -- '^-[^=]*$' (commandline -ct); and return
    command -q seedream; or return
    switch $argv[1]
        case images
            set -l typed (commandline -ct | string replace -r -- '^--image=' '')
            if string match -q -- 'job:*' $typed
                command seedream __complete jobs 2>/dev/null </dev/null | string replace -r '^' job:
            else
                __fish_complete_path $typed
            end
        case made
            command seedream __complete jobs 2>/dev/null </dev/null
        case models
            command seedream __complete models (__seedream_said -p --profile) 2>/dev/null </dev/null
        case rows
            command seedream __complete rows (__seedream_said --batch) 2>/dev/null </dev/null
        case '*'
            command seedream __complete $argv[1] 2>/dev/null </dev/null
    end
end

complete -c seedream -f

# >>> made from the app: python scripts/write_completions.py
function __seedream_paths
    printf '%s\n' 'generate' 'edit' 'status' 'download' 'providers' 'providers list' 'providers show' 'providers check' 'providers add' 'providers set' 'providers use' 'providers remove' 'providers sandbox'
end
complete -c seedream -n '__seedream_at ""' -a generate -d 'Turn a prompt into image files, or a file of prompts into a batch of them'
complete -c seedream -n '__seedream_at ""' -a edit -d 'Turn a prompt and reference images into image files'
complete -c seedream -n '__seedream_at ""' -a status -d 'Show what became of jobs; asks the provider about those that still run'
complete -c seedream -n '__seedream_at ""' -a download -d 'Save what is finished and not yet on disk; wait for what still runs. Buys nothing'
complete -c seedream -n '__seedream_at ""' -a providers -d 'List providers and models, keep accounts, check keys, serve the sandbox'
complete -c seedream -n '__seedream_new "" -V --version' -s V -l version -d 'Print the version'
complete -c seedream -n '__seedream_open "" --install-completion' -l install-completion -r -f -k -a 'bash zsh fish' -d 'Put completions where bash, zsh or fish looks for them'
complete -c seedream -n '__seedream_open "" --show-completion' -l show-completion -r -f -k -a 'bash zsh fish' -d 'Print the completion script of bash, zsh or fish'
complete -c seedream -n '__seedream_new "" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "generate"' -f
complete -c seedream -n '__seedream_open "generate" -f --prompt-file' -s f -l prompt-file -r -F -d 'Read the prompt from a file'
complete -c seedream -n '__seedream_open "generate" -o --output' -s o -l output -r -F -d 'A file, a folder/, a template, or \'-\' for stdout. Fields: {slug} {job} {n} {ext} {date} {time} {model} {provider} {seed} {width} {height}'
complete -c seedream -n '__seedream_open "generate" -p --profile' -s p -l profile -r -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"' -d 'A profile, or a provider\'s name'
complete -c seedream -n '__seedream_open "generate" -m --model' -s m -l model -r -f -k -a '(__seedream_words models)' -d 'An id, or 5.5, 5-pro, 5-flash, 5-lite, 4.5, 4; see `seedream providers show`'
complete -c seedream -n '__seedream_open "generate" -s --size' -s s -l size -r -f -k -a '1K 1.5K 2K 3K 4K adaptive auto small' -d '1K, 1.5K, 2K, 3K, 4K or WIDTHxHEIGHT'
complete -c seedream -n '__seedream_open "generate" -a --aspect' -s a -l aspect -r -f -k -a '1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9 1:4 1:8 4:1 4:5 5:4 8:1 auto match_input_image 1:2 2:1 1:3 3:1 9:21' -d '16:9, 3:4, 1:1…'
complete -c seedream -n '__seedream_open "generate" -n --count' -s n -l count -r -f -d 'N independent pictures'
complete -c seedream -n '__seedream_new "generate" --sandbox' -l sandbox -d 'Offline rehearsal: no key, no network, no charge'
complete -c seedream -n '__seedream_new "generate" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "generate" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_at "generate"' -s v -l verbose -d 'A line each request; twice: bodies. Never keys'
complete -c seedream -n '__seedream_open "generate" --series' -l series -r -f -d 'One request for a set of up to N related pictures; say the number in the prompt'
complete -c seedream -n '__seedream_open "generate" --seed' -l seed -r -f -d 'The same seed, the same picture'
complete -c seedream -n '__seedream_open "generate" --guidance' -l guidance -r -f -d 'How closely to follow the prompt'
complete -c seedream -n '__seedream_open "generate" --steps' -l steps -r -f -d 'Quality against time (kie-seedream)'
complete -c seedream -n '__seedream_open "generate" --quality' -l quality -r -f -k -a 'basic high ultra 1K 2K 4K regular big small' -d 'The provider\'s own word'
complete -c seedream -n '__seedream_open "generate" --format' -l format -r -f -k -a 'png jpeg'
complete -c seedream -n '__seedream_new "generate" --watermark --no-watermark' -l watermark -d 'Default: no'
complete -c seedream -n '__seedream_new "generate" --watermark --no-watermark' -l no-watermark -d 'Default: no'
complete -c seedream -n '__seedream_at "generate"' -l set -r -f -d 'A request field of the provider\'s own, as is; nested as a.b=VALUE; repeats'
complete -c seedream -n '__seedream_open "generate" --callback-url' -l callback-url -r -f -d 'Where the provider tells that it is done (KIE)'
complete -c seedream -n '__seedream_open "generate" --like' -l like -r -F -k -a '(__seedream_words made)' -d 'Ask for the same as that picture did; what is said beside it wins'
complete -c seedream -n '__seedream_new "generate" --open' -l open -d 'Open the pictures, or the page, in the system\'s viewer'
complete -c seedream -n '__seedream_new "generate" --preview' -l preview -d 'Draw what was saved in the terminal (extra `seedream[preview]`)'
complete -c seedream -n '__seedream_new "generate" --wait --no-wait' -l wait -d '--no-wait: print the job and leave; `seedream download` goes on'
complete -c seedream -n '__seedream_new "generate" --wait --no-wait' -l no-wait -d '--no-wait: print the job and leave; `seedream download` goes on'
complete -c seedream -n '__seedream_open "generate" --timeout' -l timeout -r -f -d 'How long to wait for an accepted job: 10m, 2h, 600 (default 1200 s)'
complete -c seedream -n '__seedream_new "generate" --no-progress' -l no-progress -d 'Plain lines, none that move: for screen readers and logs'
complete -c seedream -n '__seedream_new "generate" --overwrite' -l overwrite -d 'Replace an existing file'
complete -c seedream -n '__seedream_new "generate" --skip-existing' -l skip-existing -d 'Where the file exists, print its path'
complete -c seedream -n '__seedream_new "generate" --any-format' -l any-format -d 'Keep the name even where the format will differ'
complete -c seedream -n '__seedream_new "generate" --no-validate' -l no-validate -d 'Skip the checks of the model'
complete -c seedream -n '__seedream_new "generate" --dry-run' -l dry-run -d 'Print method, URL, body and price; send nothing'
complete -c seedream -n '__seedream_new "generate" --sidecar' -l sidecar -d 'Also write NAME.json: recipe and receipt'
complete -c seedream -n '__seedream_at "generate"' -l despite -r -f -k -a '(__seedream_words unknown)' -d 'Buy although that unknown job may have been the same purchase'
complete -c seedream -n '__seedream_open "generate" --max-images' -l max-images -r -f -d 'Buy at most N pictures'
complete -c seedream -n '__seedream_open "generate" --max-cost' -l max-cost -r -f -d 'Spend at most that: 5, 5USD'
complete -c seedream -n '__seedream_new "generate" -y --yes' -s y -l yes -d 'Do not ask before more than 10 pictures'
complete -c seedream -n '__seedream_open "generate" --batch' -l batch -r -F -d 'Make the pictures that a file describes: TOML, JSON Lines, a prompt a line; \'-\' = JSON Lines on stdin. Only what is new or changed is made'
complete -c seedream -n '__seedream_new "generate" --plan' -l plan -d 'Say what would be made, why, and the price; make nothing'
complete -c seedream -n '__seedream_new "generate" --check' -l check -d 'Exit 1 where a picture is not as described; needs no key and no network'
complete -c seedream -n '__seedream_new "generate" --no-files' -l no-files -d 'Compare the file with its lock only; the pictures lie elsewhere'
complete -c seedream -n '__seedream_at "generate"' -l accept -r -f -k -a '(__seedream_words rows)' -d 'Record a picture as it lies there, changed by hand or made elsewhere; \'icon-*\' too'
complete -c seedream -n '__seedream_open "generate" -j --jobs' -s j -l jobs -r -f -d 'At most N jobs under way; default by provider'
complete -c seedream -n '__seedream_new "generate" --fail-fast' -l fail-fast -d 'Begin nothing more after the first failure'
complete -c seedream -n '__seedream_open "generate" --shard' -l shard -r -f -d 'Make the K-th of N parts, for several machines'
complete -c seedream -n '__seedream_open "generate" --gallery' -l gallery -r -F -d 'Write a page of the manifest: what is there, and what would be made'
complete -c seedream -n '__seedream_new "generate" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "edit"' -f
complete -c seedream -n '__seedream_open "edit" -f --prompt-file' -s f -l prompt-file -r -F -d 'Read the prompt from a file'
complete -c seedream -n '__seedream_at "edit"' -s i -l image -r -f -k -a '(__seedream_words images)' -d 'A file, an https URL, \'-\', job:last.2 or @last; repeats, in order'
complete -c seedream -n '__seedream_open "edit" -o --output' -s o -l output -r -F -d 'A file, a folder/, a template, or \'-\' for stdout. Fields: {slug} {job} {n} {ext} {date} {time} {model} {provider} {seed} {width} {height}'
complete -c seedream -n '__seedream_open "edit" -p --profile' -s p -l profile -r -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"' -d 'A profile, or a provider\'s name'
complete -c seedream -n '__seedream_open "edit" -m --model' -s m -l model -r -f -k -a '(__seedream_words models)' -d 'An id, or 5.5, 5-pro, 5-flash, 5-lite, 4.5, 4; see `seedream providers show`'
complete -c seedream -n '__seedream_open "edit" -s --size' -s s -l size -r -f -k -a '1K 1.5K 2K 3K 4K adaptive auto small' -d '1K, 1.5K, 2K, 3K, 4K or WIDTHxHEIGHT'
complete -c seedream -n '__seedream_open "edit" -a --aspect' -s a -l aspect -r -f -k -a '1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9 1:4 1:8 4:1 4:5 5:4 8:1 auto match_input_image 1:2 2:1 1:3 3:1 9:21' -d '16:9, 3:4, 1:1…'
complete -c seedream -n '__seedream_open "edit" -n --count' -s n -l count -r -f -d 'N independent pictures'
complete -c seedream -n '__seedream_new "edit" --sandbox' -l sandbox -d 'Offline rehearsal: no key, no network, no charge'
complete -c seedream -n '__seedream_new "edit" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "edit" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_at "edit"' -s v -l verbose -d 'A line each request; twice: bodies. Never keys'
complete -c seedream -n '__seedream_open "edit" --series' -l series -r -f -d 'One request for a set of up to N related pictures; say the number in the prompt'
complete -c seedream -n '__seedream_open "edit" --seed' -l seed -r -f -d 'The same seed, the same picture'
complete -c seedream -n '__seedream_open "edit" --guidance' -l guidance -r -f -d 'How closely to follow the prompt'
complete -c seedream -n '__seedream_open "edit" --steps' -l steps -r -f -d 'Quality against time (kie-seedream)'
complete -c seedream -n '__seedream_open "edit" --quality' -l quality -r -f -k -a 'basic high ultra 1K 2K 4K regular big small' -d 'The provider\'s own word'
complete -c seedream -n '__seedream_open "edit" --format' -l format -r -f -k -a 'png jpeg'
complete -c seedream -n '__seedream_new "edit" --watermark --no-watermark' -l watermark -d 'Default: no'
complete -c seedream -n '__seedream_new "edit" --watermark --no-watermark' -l no-watermark -d 'Default: no'
complete -c seedream -n '__seedream_at "edit"' -l set -r -f -d 'A request field of the provider\'s own, as is; nested as a.b=VALUE; repeats'
complete -c seedream -n '__seedream_open "edit" --callback-url' -l callback-url -r -f -d 'Where the provider tells that it is done (KIE)'
complete -c seedream -n '__seedream_open "edit" --like' -l like -r -F -k -a '(__seedream_words made)' -d 'Ask for the same as that picture did; what is said beside it wins'
complete -c seedream -n '__seedream_new "edit" --open' -l open -d 'Open the pictures, or the page, in the system\'s viewer'
complete -c seedream -n '__seedream_new "edit" --preview' -l preview -d 'Draw what was saved in the terminal (extra `seedream[preview]`)'
complete -c seedream -n '__seedream_new "edit" --wait --no-wait' -l wait -d '--no-wait: print the job and leave; `seedream download` goes on'
complete -c seedream -n '__seedream_new "edit" --wait --no-wait' -l no-wait -d '--no-wait: print the job and leave; `seedream download` goes on'
complete -c seedream -n '__seedream_open "edit" --timeout' -l timeout -r -f -d 'How long to wait for an accepted job: 10m, 2h, 600 (default 1200 s)'
complete -c seedream -n '__seedream_new "edit" --no-progress' -l no-progress -d 'Plain lines, none that move: for screen readers and logs'
complete -c seedream -n '__seedream_new "edit" --overwrite' -l overwrite -d 'Replace an existing file'
complete -c seedream -n '__seedream_new "edit" --skip-existing' -l skip-existing -d 'Where the file exists, print its path'
complete -c seedream -n '__seedream_new "edit" --any-format' -l any-format -d 'Keep the name even where the format will differ'
complete -c seedream -n '__seedream_new "edit" --no-validate' -l no-validate -d 'Skip the checks of the model'
complete -c seedream -n '__seedream_new "edit" --dry-run' -l dry-run -d 'Print method, URL, body and price; send nothing'
complete -c seedream -n '__seedream_new "edit" --sidecar' -l sidecar -d 'Also write NAME.json: recipe and receipt'
complete -c seedream -n '__seedream_at "edit"' -l despite -r -f -k -a '(__seedream_words unknown)' -d 'Buy although that unknown job may have been the same purchase'
complete -c seedream -n '__seedream_open "edit" --max-images' -l max-images -r -f -d 'Buy at most N pictures'
complete -c seedream -n '__seedream_open "edit" --max-cost' -l max-cost -r -f -d 'Spend at most that: 5, 5USD'
complete -c seedream -n '__seedream_new "edit" -y --yes' -s y -l yes -d 'Do not ask before more than 10 pictures'
complete -c seedream -n '__seedream_new "edit" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "status"' -F -k -a '(__seedream_words made)'
complete -c seedream -n '__seedream_open "status" -p --profile' -s p -l profile -r -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"' -d 'Only jobs of this profile or provider'
complete -c seedream -n '__seedream_open "status" --state' -l state -r -f -k -a 'planned sending running ready saved refused failed unknown expired closed' -d 'Only jobs in this state'
complete -c seedream -n '__seedream_new "status" --unsaved' -l unsaved -d 'Only jobs with something not yet on disk'
complete -c seedream -n '__seedream_open "status" --expiring' -l expiring -r -f -d 'Only what is not on disk and lapses within 2h, 30m, 1d, or nobody knows when'
complete -c seedream -n '__seedream_open "status" --since' -l since -r -f -d 'Only jobs of the last 30d, 12h, 1w'
complete -c seedream -n '__seedream_open "status" --grep' -l grep -r -f -d 'Only prompts with TEXT in them, in upper or lower case'
complete -c seedream -n '__seedream_new "status" --all' -l all -d 'All of them, not the newest 20'
complete -c seedream -n '__seedream_open "status" --limit' -l limit -r -f -d 'At most N jobs, before --all'
complete -c seedream -n '__seedream_new "status" --offline' -l offline -d 'Ask no provider'
complete -c seedream -n '__seedream_new "status" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "status" --exit-status' -l exit-status -d 'Exit 1 where a job did not end well'
complete -c seedream -n '__seedream_open "status" --gallery' -l gallery -r -F -d 'Write a page of the pictures, which opens in any browser'
complete -c seedream -n '__seedream_new "status" --open' -l open -d 'Open the pictures, or the page, in the system\'s viewer'
complete -c seedream -n '__seedream_open "status" --adopt' -l adopt -r -f -d 'It was made: this is the provider\'s task, or the picture\'s address'
complete -c seedream -n '__seedream_new "status" --not-charged' -l not-charged -d 'The provider shows no charge for it'
complete -c seedream -n '__seedream_new "status" --write-off' -l write-off -d 'Leave it, charged or not; stop asking'
complete -c seedream -n '__seedream_new "status" -y --yes' -s y -l yes -d 'Adopt what cannot be looked at; write off what can still be asked about'
complete -c seedream -n '__seedream_new "status" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_at "status"' -s v -l verbose -d 'A line each request; twice: bodies. Never keys'
complete -c seedream -n '__seedream_new "status" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "download"' -F -k -a '(__seedream_words made)'
complete -c seedream -n '__seedream_open "download" -p --profile' -s p -l profile -r -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"' -d 'A profile, or a provider\'s name'
complete -c seedream -n '__seedream_open "download" -o --output' -s o -l output -r -F -d 'Save there instead: a file or a folder/'
complete -c seedream -n '__seedream_open "download" --task-id' -l task-id -r -f -d 'Adopt a task that was made elsewhere (with -p NAME)'
complete -c seedream -n '__seedream_open "download" -m --model' -s m -l model -r -f -k -a '(__seedream_words models)' -d 'What made the --task-id; fal is asked by it'
complete -c seedream -n '__seedream_new "download" --unsaved' -l unsaved -d 'Only jobs with something not yet on disk'
complete -c seedream -n '__seedream_open "download" --expiring' -l expiring -r -f -d 'Only what is not on disk and lapses within 2h, 30m, 1d, or nobody knows when'
complete -c seedream -n '__seedream_new "download" --no-wait' -l no-wait -d 'Save what is ready; do not wait for the rest'
complete -c seedream -n '__seedream_open "download" --timeout' -l timeout -r -f -d 'How long to wait for an accepted job: 10m, 2h, 600 (default 1200 s)'
complete -c seedream -n '__seedream_new "download" --no-progress' -l no-progress -d 'Plain lines, none that move: for screen readers and logs'
complete -c seedream -n '__seedream_new "download" --sandbox' -l sandbox -d 'Offline rehearsal: no key, no network, no charge'
complete -c seedream -n '__seedream_new "download" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "download" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_at "download"' -s v -l verbose -d 'A line each request; twice: bodies. Never keys'
complete -c seedream -n '__seedream_new "download" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers"' -a list -d 'List the providers and profiles, and which of them have a key'
complete -c seedream -n '__seedream_at "providers"' -a show -d 'Show a profile: where each value comes from, and what each model takes and makes'
complete -c seedream -n '__seedream_at "providers"' -a check -d 'Prove a key with one free call, where the provider has one'
complete -c seedream -n '__seedream_at "providers"' -a add -d 'Write an account into the config file: a name, a provider, where its key is'
complete -c seedream -n '__seedream_at "providers"' -a set -d 'Change one value of a profile; all else of the file stays'
complete -c seedream -n '__seedream_at "providers"' -a use -d 'Choose the profile or provider that works where -p is not given'
complete -c seedream -n '__seedream_at "providers"' -a remove -d 'Take a profile out of the config file; its jobs and pictures stay'
complete -c seedream -n '__seedream_at "providers"' -a sandbox -d 'Serve a stand-in for every provider on this machine, until Ctrl-C'
complete -c seedream -n '__seedream_new "providers" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_new "providers list" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers list" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers show"' -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"'
complete -c seedream -n '__seedream_new "providers show" --sandbox' -l sandbox -d 'Offline rehearsal: no key, no network, no charge'
complete -c seedream -n '__seedream_new "providers show" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers show" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers check"' -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"'
complete -c seedream -n '__seedream_new "providers check" --sandbox' -l sandbox -d 'Offline rehearsal: no key, no network, no charge'
complete -c seedream -n '__seedream_new "providers check" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_at "providers check"' -s v -l verbose -d 'A line each request; twice: bodies. Never keys'
complete -c seedream -n '__seedream_new "providers check" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers add"' -f
complete -c seedream -n '__seedream_open "providers add" --provider' -l provider -r -f -k -a 'ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"' -d 'Default: NAME, where that is a provider'
complete -c seedream -n '__seedream_open "providers add" -m --model' -s m -l model -r -f -k -a '(__seedream_words models)' -d 'An id, or 5.5, 5-pro, 5-flash, 5-lite, 4.5, 4; see `seedream providers show`'
complete -c seedream -n '__seedream_open "providers add" --base-url' -l base-url -r -f -d 'Of a gateway; http only for loopback'
complete -c seedream -n '__seedream_open "providers add" -o --output' -s o -l output -r -F -d 'Where its pictures go: a folder/, a template'
complete -c seedream -n '__seedream_new "providers add" --default' -l default -d 'Use it where -p is not given'
complete -c seedream -n '__seedream_new "providers add" --replace' -l replace -d 'Replace the profile of that name'
complete -c seedream -n '__seedream_new "providers add" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers add" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_open "providers add" --key-env' -l key-env -r -f -d 'The variable that holds it'
complete -c seedream -n '__seedream_open "providers add" --key-command' -l key-command -r -f -d 'The command that prints it: \'pass show kie\'; no shell reads it'
complete -c seedream -n '__seedream_open "providers add" --key-file' -l key-file -r -F -d 'The file that holds it'
complete -c seedream -n '__seedream_open "providers add" --key-keyring' -l key-keyring -r -f -d 'Its entry in the system\'s keyring (extra seedream[keyring])'
complete -c seedream -n '__seedream_new "providers add" --key-stdin' -l key-stdin -d 'Read it from stdin; it is kept in the config file'
complete -c seedream -n '__seedream_new "providers add" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers set"' -f -k -a '(__seedream_words written)'
complete -c seedream -n '__seedream_at "providers set"' -f -k -a 'provider api_key_env api_key_command api_key_file api_key_keyring model base_url upload_base_url list_base_url output image_hosts budget allow_http edits references size_fields response_format image_field size aspect quality count series seed guidance steps format watermark set callback_url wait timeout any_format sidecar'
complete -c seedream -n '__seedream_at "providers set"' -f
complete -c seedream -n '__seedream_new "providers set" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers set" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_new "providers set" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers use"' -f -k -a '(__seedream_words profiles) ark\\t"Volcengine Ark" byteplus\\t"BytePlus ModelArk" kie\\t"KIE.ai" kie-seedream\\t"KIE.ai\'s older Seedream endpoint" uniall\\t"UniAll" seedreams\\t"seedreams.app" fal\\t"fal.ai" replicate\\t"Replicate" openrouter\\t"OpenRouter" wavespeed\\t"WaveSpeedAI" openai-images\\t"OpenAI-style gateway"'
complete -c seedream -n '__seedream_new "providers use" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers use" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_new "providers use" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_at "providers remove"' -f -k -a '(__seedream_words written)'
complete -c seedream -n '__seedream_new "providers remove" -y --yes' -s y -l yes -d 'Although its jobs are not finished'
complete -c seedream -n '__seedream_new "providers remove" --json' -l json -d 'One JSON object a job on stdout'
complete -c seedream -n '__seedream_new "providers remove" -q --quiet' -s q -l quiet -d 'Say nothing but errors'
complete -c seedream -n '__seedream_new "providers remove" -h --help' -s h -l help -d 'Show this message and exit'
complete -c seedream -n '__seedream_open "providers sandbox" --port' -l port -r -f -d '0: any free one'
complete -c seedream -n '__seedream_open "providers sandbox" --delay' -l delay -r -f -d 'How long a picture takes'
complete -c seedream -n '__seedream_at "providers sandbox"' -l fault -r -f -k -a '429\\t"too busy, come again in 1 s" 500\\t"charged, then an internal error" drop\\t"charged, then no answer" slow\\t"never gets ready" expire\\t"the image URL has lapsed" refuse\\t"content policy" fail\\t"accepted, then failed" truncate\\t"half an image" cut\\t"charged, then cut in the middle" partial\\t"an image of a set fails" html\\t"charged, then a web page" lost\\t"accepted, charged, no answer" late\\t"404 for 10 s" odd\\t"whole, but not as its format says"' -d '429 500 drop slow expire refuse fail truncate cut partial html lost late odd'
complete -c seedream -n '__seedream_open "providers sandbox" --at' -l at -r -f -d 'Models live or are retired as on that day'
complete -c seedream -n '__seedream_new "providers sandbox" --wrapped' -l wrapped -d 'KIE\'s older record in the envelope of its other pages'
complete -c seedream -n '__seedream_new "providers sandbox" -h --help' -s h -l help -d 'Show this message and exit'
# <<< made from the app
