"""Configurations that make a web server answer from a tree of ``hf-mirror`` as a hub does (SPEC 8.7.3).

They are included in a block that says where the server listens and what its root is. What a client asks for is
looked up once, and the client sent on to an address from which alone everything follows: nothing is looked up twice,
so that a switch in between shows no mixture.
"""

NGINX = r"""# Made by airlift: answers from this tree as a hub does. The server block around it says where it
# listens, and what its root is: the folder or link that airlift high export wrote.
set $hf_root $document_root;
set $hf_error "";
absolute_redirect off;
disable_symlinks off;
open_file_cache off;
etag off;
if_modified_since off;
gzip off;
if ($request_method !~ "^(GET|HEAD)$") {
    return 405;
}

# A file, by the name of a revision or by a commit. The link that stands there leads to its bytes; its last part,
# COMMIT-SHA256-SIZE, is the address to which the client is sent on.
location ~ "^/(?<hf_repo>(?:datasets/)?[\w.-]+(?:/[\w.-]+)?)/resolve/(?<hf_rev>[\w.-]+)/(?<hf_file>.+)$" {
    root $hf_root/$hf_repo/resolve/$hf_rev/$hf_file;
    add_header X-Error-Code $hf_error always;
    add_header X-Repo-Commit $hf_commit;
    add_header X-Linked-ETag $hf_etag;
    add_header X-Linked-Size $hf_size;
    add_header Cache-Control no-cache;
    if (!-d $hf_root/$hf_repo/resolve) {
        set $hf_error RepoNotFound;
        return 404;
    }
    if (!-d $hf_root/$hf_repo/resolve/$hf_rev) {
        set $hf_error RevisionNotFound;
        return 404;
    }
    if (!-f $hf_root/$hf_repo/resolve/$hf_rev/$hf_file) {
        rewrite ^ /airlift-absent last;
    }
    if ($realpath_root ~ "/(?<hf_commit>[0-9a-f]{40})-(?<hf_sha256>[0-9a-f]{64})-(?<hf_size>[0-9]+)$") {
        set $hf_etag '"$hf_sha256"';
        return 307 /$hf_repo/blobs/$hf_commit-$hf_sha256-$hf_size;
    }
    return 404;
}

# No such file: clients remember that, by the commit.
location = /airlift-absent {
    internal;
    root $hf_root/$hf_repo/resolve/$hf_rev;
    add_header X-Error-Code EntryNotFound always;
    add_header X-Repo-Commit $hf_commit always;
    if ($realpath_root ~ "/(?<hf_commit>[0-9a-f]{40})$") {
        return 404;
    }
    return 404;
}

# The bytes. Whatever was switched meanwhile: what has this name has this digest, or is not there.
location ~ "/blobs/(?<hf_commit>[0-9a-f]{40})-(?<hf_sha256>[0-9a-f]{64})-(?<hf_size>[0-9]+)$" {
    types { }
    default_type application/octet-stream;
    add_header ETag '"$hf_sha256"';
    add_header X-Linked-ETag '"$hf_sha256"';
    add_header X-Linked-Size $hf_size;
    add_header X-Repo-Commit $hf_commit;
}

# What lies in a folder of a revision, or all below it.
location ~ "^/api/(?<hf_repo>(?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)/tree/(?<hf_rev>[\w.-]+)(?<hf_file>/.*)?$" {
    types { }
    default_type application/json;
    add_header X-Error-Code $hf_error always;
    add_header Cache-Control no-cache;
    set $hf_list @here.json;
    if ($arg_recursive ~* "^(true|1)$") {
        set $hf_list @all.json;
    }
    if (!-d $hf_root/api/$hf_repo/tree) {
        set $hf_error RepoNotFound;
        return 404;
    }
    if (!-d $hf_root/api/$hf_repo/tree/$hf_rev) {
        set $hf_error RevisionNotFound;
        return 404;
    }
    if (!-f $hf_root/api/$hf_repo/tree/$hf_rev$hf_file/$hf_list) {
        set $hf_error EntryNotFound;
        return 404;
    }
    rewrite ^ /api/$hf_repo/tree/$hf_rev$hf_file/$hf_list break;
}

# The names of a repository's revisions.
location ~ "^/api/(?<hf_repo>(?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)/refs$" {
    types { }
    default_type application/json;
    add_header X-Error-Code $hf_error always;
    add_header Cache-Control no-cache;
    if (!-f $hf_root/api/$hf_repo/refs.json) {
        set $hf_error RepoNotFound;
        return 404;
    }
    rewrite ^ /api/$hf_repo/refs.json break;
}

# What a repository is, at a revision.
location ~ "^/api/(?<hf_repo>(?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)(?:/revision/(?<hf_rev>[\w.-]+))?$" {
    types { }
    default_type application/json;
    add_header X-Error-Code $hf_error always;
    add_header Cache-Control no-cache;
    set $hf_about $hf_rev;
    if ($hf_about = "") {
        set $hf_about main;
    }
    if (!-d $hf_root/api/$hf_repo/revision) {
        set $hf_error RepoNotFound;
        return 404;
    }
    if (!-f $hf_root/api/$hf_repo/revision/$hf_about.json) {
        set $hf_error RevisionNotFound;
        return 404;
    }
    rewrite ^ /api/$hf_repo/revision/$hf_about.json break;
}

location / {
    return 404;
}
"""
"""For nginx: ``include`` it in a ``server`` block."""

CADDY = r"""# Made by airlift: answers from this tree as a hub does. The site around it says where it listens, and
# what its root is: the folder or link that airlift high export wrote.
@airlift_other not method GET HEAD
handle @airlift_other {
	respond 405
}

# A file, by the name of a revision or by a commit. The folder of digests has one name in it, COMMIT-SHA256-SIZE:
# the address to which the client is sent on.
@airlift_file path_regexp file ^/((?:datasets/)?[\w.-]+(?:/[\w.-]+)?)/resolve/([\w.-]+)/(.*[^/])$
handle @airlift_file {
	@there file {
		try_files /{re.file.1}/digests/{re.file.2}/{re.file.3}/*
	}
	@revision file /{re.file.1}/resolve/{re.file.2}/
	@repository file /{re.file.1}/resolve/
	@pinned path_regexp ^/.+/resolve/[0-9a-f]{40}/.
	handle @there {
		@blob vars_regexp blob {http.matchers.file.relative} /([0-9a-f]{40})-([0-9a-f]{64})-([0-9]+)$
		handle @blob {
			header X-Repo-Commit {re.blob.1}
			header X-Linked-ETag "\"{re.blob.2}\""
			header X-Linked-Size {re.blob.3}
			header Cache-Control no-cache
			redir * /{re.file.1}/blobs/{re.blob.1}-{re.blob.2}-{re.blob.3} 307
		}
		respond 404
	}
	handle @revision {
		header X-Error-Code EntryNotFound
		header @pinned X-Repo-Commit {re.file.2}
		respond 404
	}
	handle @repository {
		header X-Error-Code RevisionNotFound
		respond 404
	}
	handle {
		header X-Error-Code RepoNotFound
		respond 404
	}
}

# The bytes. Whatever was switched meanwhile: what has this name has this digest, or is not there.
@airlift_blob path_regexp blob /blobs/([0-9a-f]{40})-([0-9a-f]{64})-([0-9]+)$
handle @airlift_blob {
	header Content-Type application/octet-stream
	header {
		ETag "\"{re.blob.2}\""
		defer
	}
	header X-Linked-ETag "\"{re.blob.2}\""
	header X-Linked-Size {re.blob.3}
	header X-Repo-Commit {re.blob.1}
	file_server
}

# What lies in a folder of a revision, or all below it.
@airlift_tree path_regexp tree ^/api/((?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)/tree/([\w.-]+)(/.*)?$
handle @airlift_tree {
	@all {
		query recursive=true recursive=True recursive=1
		file /api/{re.tree.1}/tree/{re.tree.2}{re.tree.3}/@all.json
	}
	@here {
		not query recursive=true recursive=True recursive=1
		file /api/{re.tree.1}/tree/{re.tree.2}{re.tree.3}/@here.json
	}
	@revision file /api/{re.tree.1}/tree/{re.tree.2}/
	@repository file /api/{re.tree.1}/tree/
	header Cache-Control no-cache
	request_header -If-Modified-Since
	request_header -If-None-Match
	handle @all {
		rewrite * /api/{re.tree.1}/tree/{re.tree.2}{re.tree.3}/@all.json
		file_server
	}
	handle @here {
		rewrite * /api/{re.tree.1}/tree/{re.tree.2}{re.tree.3}/@here.json
		file_server
	}
	handle @revision {
		header X-Error-Code EntryNotFound
		respond 404
	}
	handle @repository {
		header X-Error-Code RevisionNotFound
		respond 404
	}
	handle {
		header X-Error-Code RepoNotFound
		respond 404
	}
}

# The names of a repository's revisions.
@airlift_refs path_regexp refs ^/api/((?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)/refs$
handle @airlift_refs {
	@there file /api/{re.refs.1}/refs.json
	header Cache-Control no-cache
	request_header -If-Modified-Since
	request_header -If-None-Match
	handle @there {
		rewrite * /api/{re.refs.1}/refs.json
		file_server
	}
	handle {
		header X-Error-Code RepoNotFound
		respond 404
	}
}

# What a repository is, at a revision.
@airlift_revision path_regexp revision ^/api/((?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)/revision/([\w.-]+)$
handle @airlift_revision {
	@there file /api/{re.revision.1}/revision/{re.revision.2}.json
	@repository file /api/{re.revision.1}/revision/
	header Cache-Control no-cache
	request_header -If-Modified-Since
	request_header -If-None-Match
	handle @there {
		rewrite * /api/{re.revision.1}/revision/{re.revision.2}.json
		file_server
	}
	handle @repository {
		header X-Error-Code RevisionNotFound
		respond 404
	}
	handle {
		header X-Error-Code RepoNotFound
		respond 404
	}
}

# What it is, at main.
@airlift_main path_regexp main ^/api/((?:models|datasets)/[\w.-]+(?:/[\w.-]+)?)$
handle @airlift_main {
	@there file /api/{re.main.1}/revision/main.json
	@repository file /api/{re.main.1}/revision/
	header Cache-Control no-cache
	request_header -If-Modified-Since
	request_header -If-None-Match
	handle @there {
		rewrite * /api/{re.main.1}/revision/main.json
		file_server
	}
	handle @repository {
		header X-Error-Code RevisionNotFound
		respond 404
	}
	handle {
		header X-Error-Code RepoNotFound
		respond 404
	}
}

handle {
	respond 404
}
"""
"""For Caddy: ``import`` it in a site block."""
