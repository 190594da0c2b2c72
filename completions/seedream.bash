# bash completion for seedream.
#
# The part between the two marks is made from the command line itself, by
#     python scripts/write_completions.py
# Commands, options and choices stand in this file: a TAB starts seedream only where profiles,
# models or jobs are asked for.
#
# `seedream --install-completion bash` puts it in place; to try it, source this file. Kept to what bash 3.2 (macOS) understands.

# >>> made from the app: python scripts/write_completions.py
_seedream_command() {
    case $1 in
    '')
        commands='generate edit status download providers' more=
        positions=()
        rows=(
            '-V|--version'
            '--install-completion=@ bash zsh fish'
            '--show-completion=@ bash zsh fish'
            '-h|--help'
        )
        ;;
    'generate')
        commands='' more=
        positions=('@')
        rows=(
            '-f|--prompt-file=@files'
            '-o|--output=@files'
            '-p|--profile=@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images'
            '-m|--model=@models'
            '-s|--size=@ 1K 1.5K 2K 3K 4K adaptive auto small'
            '-a|--aspect=@ 1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9 1:4 1:8 4:1 4:5 5:4 8:1 auto match_input_image 1:2 2:1 1:3 3:1 9:21'
            '-n|--count=@'
            '--sandbox'
            '--json'
            '-q|--quiet'
            '*-v|--verbose'
            '--series=@'
            '--seed=@'
            '--guidance=@'
            '--steps=@'
            '--quality=@ basic high ultra 1K 2K 4K regular big small'
            '--format=@ png jpeg'
            '--watermark|--no-watermark'
            '*--set=@'
            '--callback-url=@'
            '--like=@made'
            '--open'
            '--preview'
            '--wait|--no-wait'
            '--timeout=@'
            '--no-progress'
            '--overwrite'
            '--skip-existing'
            '--any-format'
            '--no-validate'
            '--dry-run'
            '--sidecar'
            '*--despite=@unknown'
            '--max-images=@'
            '--max-cost=@'
            '-y|--yes'
            '--batch=@batch'
            '--plan'
            '--check'
            '--no-files'
            '*--accept=@rows'
            '-j|--jobs=@'
            '--fail-fast'
            '--shard=@'
            '--gallery=@files'
            '-h|--help'
        )
        ;;
    'edit')
        commands='' more=
        positions=('@')
        rows=(
            '-f|--prompt-file=@files'
            '*-i|--image=@images'
            '-o|--output=@files'
            '-p|--profile=@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images'
            '-m|--model=@models'
            '-s|--size=@ 1K 1.5K 2K 3K 4K adaptive auto small'
            '-a|--aspect=@ 1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9 1:4 1:8 4:1 4:5 5:4 8:1 auto match_input_image 1:2 2:1 1:3 3:1 9:21'
            '-n|--count=@'
            '--sandbox'
            '--json'
            '-q|--quiet'
            '*-v|--verbose'
            '--series=@'
            '--seed=@'
            '--guidance=@'
            '--steps=@'
            '--quality=@ basic high ultra 1K 2K 4K regular big small'
            '--format=@ png jpeg'
            '--watermark|--no-watermark'
            '*--set=@'
            '--callback-url=@'
            '--like=@made'
            '--open'
            '--preview'
            '--wait|--no-wait'
            '--timeout=@'
            '--no-progress'
            '--overwrite'
            '--skip-existing'
            '--any-format'
            '--no-validate'
            '--dry-run'
            '--sidecar'
            '*--despite=@unknown'
            '--max-images=@'
            '--max-cost=@'
            '-y|--yes'
            '-h|--help'
        )
        ;;
    'status')
        commands='' more=1
        positions=('@made')
        rows=(
            '-p|--profile=@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images'
            '--state=@ planned sending running ready saved refused failed unknown expired closed'
            '--unsaved'
            '--expiring=@'
            '--since=@'
            '--grep=@'
            '--all'
            '--limit=@'
            '--offline'
            '--json'
            '--exit-status'
            '--gallery=@files'
            '--open'
            '--adopt=@'
            '--not-charged'
            '--write-off'
            '-y|--yes'
            '-q|--quiet'
            '*-v|--verbose'
            '-h|--help'
        )
        ;;
    'download')
        commands='' more=1
        positions=('@made')
        rows=(
            '-p|--profile=@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images'
            '-o|--output=@files'
            '--task-id=@'
            '-m|--model=@models'
            '--unsaved'
            '--expiring=@'
            '--no-wait'
            '--timeout=@'
            '--no-progress'
            '--sandbox'
            '--json'
            '-q|--quiet'
            '*-v|--verbose'
            '-h|--help'
        )
        ;;
    'providers')
        commands='list show check add set use remove sandbox' more=
        positions=()
        rows=(
            '--json'
            '-h|--help'
        )
        ;;
    'providers list')
        commands='' more=
        positions=()
        rows=(
            '--json'
            '-h|--help'
        )
        ;;
    'providers show')
        commands='' more=
        positions=('@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images')
        rows=(
            '--sandbox'
            '--json'
            '-h|--help'
        )
        ;;
    'providers check')
        commands='' more=
        positions=('@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images')
        rows=(
            '--sandbox'
            '--json'
            '*-v|--verbose'
            '-h|--help'
        )
        ;;
    'providers add')
        commands='' more=
        positions=('@')
        rows=(
            '--provider=@ ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images'
            '-m|--model=@models'
            '--base-url=@'
            '-o|--output=@files'
            '--default'
            '--replace'
            '--json'
            '-q|--quiet'
            '--key-env=@'
            '--key-command=@'
            '--key-file=@files'
            '--key-keyring=@'
            '--key-stdin'
            '-h|--help'
        )
        ;;
    'providers set')
        commands='' more=
        positions=('@written' '@ provider api_key_env api_key_command api_key_file api_key_keyring model base_url upload_base_url list_base_url output image_hosts budget allow_http edits references size_fields response_format image_field size aspect quality count series seed guidance steps format watermark set callback_url wait timeout any_format sidecar' '@')
        rows=(
            '--json'
            '-q|--quiet'
            '-h|--help'
        )
        ;;
    'providers use')
        commands='' more=
        positions=('@profiles ark byteplus kie kie-seedream uniall seedreams fal replicate openrouter wavespeed openai-images')
        rows=(
            '--json'
            '-q|--quiet'
            '-h|--help'
        )
        ;;
    'providers remove')
        commands='' more=
        positions=('@written')
        rows=(
            '-y|--yes'
            '--json'
            '-q|--quiet'
            '-h|--help'
        )
        ;;
    'providers sandbox')
        commands='' more=
        positions=()
        rows=(
            '--port=@'
            '--delay=@'
            '*--fault=@ 429 500 drop slow expire refuse fail truncate cut partial html lost late odd'
            '--at=@'
            '--wrapped'
            '-h|--help'
        )
        ;;
    esac
}
# <<< made from the app

# The functions below share the variables of _seedream.
#
# commands   names of subcommands          rows   one option each: [*]-s|--long[=TAKES]
# positions  TAKES of each argument        more   set: the last argument repeats
#
# TAKES is @SOURCE WORD…; the SOURCE may be empty.  A leading * says that the option repeats.

# Puts together what bash took apart at = and : (COMP_WORDBREAKS); the last word is $cur.
_seedream_split() {
    local rest=${COMP_LINE:0:COMP_POINT} i lead word
    for ((i = 0; i <= COMP_CWORD; i++)); do
        lead=${rest%%[![:space:]]*}
        rest=${rest#"$lead"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$rest
        rest=${rest#"$word"}
        if [[ $i -gt 0 && -z $lead ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words[${#words[@]}]=$word
        fi
    done
    cur=${words[${#words[@]} - 1]}
}

# Sets row, at and takes for an option; fails where the command has none of that spelling.
_seedream_find() {
    local spellings
    for ((at = 0; at < ${#rows[@]}; at++)); do
        row=${rows[at]}
        spellings=${row#\*}
        if [[ "|${spellings%%=*}|" == *"|$1|"* ]]; then
            takes=
            [[ $row == *=* ]] && takes=${row#*=}
            return 0
        fi
    done
    return 1
}

# Notes the VALUE of an option that others depend on; $takes is what it takes.
_seedream_note() {
    case $takes in
    @profiles*) profile=$1 ;;
    @batch) batch=$1 ;;
    esac
}

# Reads the words before the cursor. Leaves in $takes what the option before the cursor waits for.
_seedream_read() {
    local i word letters
    takes=
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $takes ]]; then
            _seedream_note "${word//[\"\'\\]/}"
            takes=
        elif [[ -n $ended || $word != -?* ]]; then
            if [[ -z $ended && " $commands " == *" $word "* ]]; then
                path="$path${path:+ }$word" given=' '
                _seedream_command "$path"
            else
                ((placed++))
            fi
        elif [[ $word == -- ]]; then
            ended=1
        elif [[ $word == --* ]]; then
            _seedream_find "${word%%=*}" || continue
            given+="$at "
            if [[ $word == *=* ]]; then
                _seedream_note "${word#*=}"
                takes=
            fi
        else
            letters=${word#-}
            while [[ -n $letters ]] && _seedream_find "-${letters:0:1}"; do
                given+="$at "
                letters=${letters:1}
                [[ -n $takes && -n $letters ]] || continue
                _seedream_note "$letters"
                letters='' takes=
            done
        fi
    done
}

# Offers those words that begin with $cur.
_seedream_offer() {
    local word quoted
    for word in "$@"; do
        printf -v quoted %q "$word"
        [[ -n $quote ]] && quoted=$word
        if [[ $word == "$cur"* || $quoted == "$cur"* ]]; then
            COMPREPLY[${#COMPREPLY[@]}]=$lead$quoted
        fi
    done
}

# Offers what seedream itself knows: PREFIX KIND [PROFILE].
_seedream_ask() {
    local line
    while IFS= read -r line; do
        _seedream_offer "$1${line%%$'\t'*}"
    done < <(command seedream __complete "${@:2}" 2>/dev/null </dev/null)
}

_seedream_files() {
    # Readline itself quotes names and knows ~ and folders; where it cannot be told so, the names.
    compopt -o default 2>/dev/null && return
    local line
    while IFS= read -r line; do
        COMPREPLY[${#COMPREPLY[@]}]=$lead$line
    done < <(compgen -f -- "$cur")
}

# Completes a value: TAKES.
_seedream_value() {
    local source=${1%% *} listed=
    [[ $1 == *' '* ]] && listed=${1#* }
    quote=
    [[ $cur == [\"\']* ]] && quote=${cur:0:1} cur=${cur:1}
    case $source in
    @files | @batch) _seedream_files ;;
    @made)
        _seedream_ask '' jobs
        ((${#COMPREPLY[@]})) || _seedream_files
        ;;
    @rows) _seedream_ask '' rows "$batch" ;;
    @images) if [[ $cur == job:* ]]; then _seedream_ask job: jobs; else _seedream_files; fi ;;
    @models) _seedream_ask '' models "$profile" ;;
    @?*) _seedream_ask '' "${source#@}" ;;
    esac
    _seedream_offer $listed
}

_seedream_options() {
    local row spellings spelling
    for ((at = 0; at < ${#rows[@]}; at++)); do
        row=${rows[at]}
        [[ $given == *" $at "* && $row != \** ]] && continue
        spellings=${row#\*}
        spellings=${spellings%%=*}
        _seedream_offer ${spellings//|/ }
    done
}

# Readline replaces only what stands behind the last : that parts words.
_seedream_trim() {
    local i before=${cur%"${cur##*:}"}
    [[ -z $quote && $cur == *:* && $COMP_WORDBREAKS == *:* ]] || return
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do
        COMPREPLY[i]=${COMPREPLY[i]#"$before"}
    done
}

_seedream() {
    local IFS=$' \t\n'
    local cur='' lead='' quote='' path='' given=' ' ended='' profile='' batch='' placed=0
    local words commands positions more rows row at takes
    words=() COMPREPLY=()
    _seedream_split
    _seedream_command ''
    _seedream_read
    if [[ -n $takes ]]; then
        _seedream_value "$takes"
    elif [[ -z $ended && $cur == --*=* ]]; then
        _seedream_find "${cur%%=*}" || return
        [[ $COMP_WORDBREAKS == *=* ]] || lead=${cur%%=*}=
        cur=${cur#*=}
        [[ -n $takes ]] && _seedream_value "$takes"
    elif [[ -z $ended && $cur == -* ]]; then
        _seedream_options
    elif [[ -n $commands && $placed -eq 0 ]]; then
        _seedream_offer $commands
    elif ((placed < ${#positions[@]})); then
        _seedream_value "${positions[placed]}"
    elif [[ -n $more ]]; then
        _seedream_value "${positions[${#positions[@]} - 1]}"
    fi
    _seedream_trim
}

complete -o nosort -F _seedream seedream 2>/dev/null || complete -F _seedream seedream
